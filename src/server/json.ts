import {problem} from '../domain/errors.ts'

const maxDepth = 32
const halfPair = /\p{Surrogate}/u

/**
 * A JSON text as a value. Refused are: more than 32 levels, a member given twice or named `__proto__`, a number that
 * cannot be kept exactly (2^53+1, 1e400), a NUL character and half a surrogate pair (no store keeps them). Throws
 * input_unreadable, input_invalid.
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string
  let value: unknown
  try {
    text = new TextDecoder('utf-8', {fatal: true}).decode(bytes)
  } catch {
    throw problem('input_unreadable', {problem: 'it is not UTF-8'})
  }
  try {
    value = JSON.parse(text)
  } catch {
    throw problem('input_unreadable', {problem: 'its syntax is wrong'})
  }
  refuseOddities(text)
  return value
}

/** Walks a text that is known to be valid JSON; the parsed value no longer shows what is looked for here. */
function refuseOddities(text: string): void {
  const open: (Set<string> | undefined)[] = []
  let keyComes = false
  let field = 'body'
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (character === '"') {
      const end = endOfString(text, at)
      const raw = text.slice(at, end + 1)
      if (keyComes) field = takeKey(raw, open.at(-1))
      else if (raw.includes('\\u')) refuseUnkept(JSON.parse(raw), field)
      at = end
    } else if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined)
      if (open.length > maxDepth)
        throw problem('input_unreadable', {problem: `it is more than ${maxDepth} levels deep`})
      keyComes = character === '{'
    } else if (character === '}' || character === ']') {
      open.pop()
      keyComes = false
    } else if (character === ',') keyComes = open.at(-1) !== undefined
    else if (character === ':') keyComes = false
    else if (character === '-' || (character >= '0' && character <= '9')) at = takeNumber(text, at, field)
  }
}

function takeKey(raw: string, seen: Set<string> | undefined): string {
  const key: string = JSON.parse(raw)
  const field = key.slice(0, 64)
  refuseUnkept(key, field)
  if (key === '__proto__') throw problem('input_invalid', {field, problem: 'is not a member', fix: 'Leave it out.'})
  if (seen?.has(key)) throw problem('input_invalid', {field, problem: 'is given twice', fix: 'Give it once.'})
  seen?.add(key)
  return field
}

function takeNumber(text: string, start: number, field: string): number {
  let end = start + 1
  while (end < text.length && '0123456789.eE+-'.includes(text[end] as string)) end++
  const value = Number(text.slice(start, end))
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
    throw problem('input_invalid', {
      field,
      problem: 'the number is too large to be kept exactly',
      fix: `Stay within ±${Number.MAX_SAFE_INTEGER}.`,
    })
  }
  return end - 1
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text[end - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return end
  }
}

function refuseUnkept(text: string, field: string): void {
  const fix = 'Leave it out.'
  if (text.includes('\0')) throw problem('input_invalid', {field, problem: 'holds a NUL character', fix})
  if (halfPair.test(text)) throw problem('input_invalid', {field, problem: 'holds half a surrogate pair', fix})
}
