import {problem} from './errors.ts'
import type {Secrets} from './security-ports.ts'

/** Without 0, 1, I, L and O, so that a code can be read over the phone. */
export const codeAlphabet = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789'
export const codeLength = 5

/**
 * Draws a code that differs from every live one in two places or more, so that one mistyped letter can never name
 * another machine (security 3.1). Throws when 1,000 draws found none, which needs millions of live codes.
 */
export function drawCode(live: Iterable<string>, random: Secrets['random']): string {
  const taken = [...live]
  for (let draws = 0; draws < 1_000; draws++) {
    const code = letters(random)
    if (taken.every(other => distance(code, other) >= 2)) return code
  }
  throw new Error('No free registration code was found.')
}

/** The code that a person typed: case, spaces and dashes do not matter. Throws code_malformed. */
export function readCode(text: string): string {
  const code = text.replace(/[\s-]/g, '').toUpperCase()
  const unclear = /[01ILO]/.exec(code)
  if (unclear) {
    throw problem('code_malformed', {
      code: text,
      problem: `0, 1, I, L and O never occur in a code, and it has ${unclear[0]}.`,
    })
  }
  if (code.length !== codeLength) {
    throw problem('code_malformed', {code: text, problem: `it has ${code.length} characters instead of ${codeLength}.`})
  }
  const strange = [...code].find(letter => !codeAlphabet.includes(letter))
  if (strange)
    throw problem('code_malformed', {code: text, problem: 'it has other characters than letters and digits.'})
  return code
}

/** Whether a text could be meant as a code, so that a reference can be told from a name. */
export function looksLikeCode(text: string): boolean {
  return /^[A-Za-z0-9]{5}$/.test(text.replace(/[\s-]/g, ''))
}

export function distance(one: string, other: string): number {
  let differences = 0
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) differences++
  return differences
}

/** Bytes of 248 (8 × 31) and above are drawn again: every letter stays equally likely. */
function letters(random: Secrets['random']): string {
  let code = ''
  while (code.length < codeLength) {
    for (const byte of random(8)) {
      if (byte < 248 && code.length < codeLength) code += codeAlphabet[byte % 31]
    }
  }
  return code
}
