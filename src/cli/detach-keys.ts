import {usageError} from './failure.ts'

/** `ctrl-p,ctrl-q` or `ctrl-],x` as bytes; '' for none. Usage error otherwise. */
export function readDetachKeys(text: string): number[] {
  if (text === '') return []
  return text.split(',').map(key => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1]
    if (control) return control.toUpperCase().charCodeAt(0) - 64
    if (/^[ -~]$/.test(key)) return key.charCodeAt(0)
    throw usageError(`--detach-keys: ${key} is not a key.`, 'Write them as ctrl-p,ctrl-q.')
  })
}

/** Looks for the keys in what is typed. The beginning of them is held back until it is clear what it is. */
export class DetachWatch {
  readonly #keys: readonly number[]
  #seen = 0

  constructor(keys: readonly number[]) {
    this.#keys = keys
  }

  /** What goes on to the command, and whether the person has left. */
  read(typed: Uint8Array): {pass: Buffer; hasLeft: boolean} {
    if (this.#keys.length === 0) return {pass: Buffer.from(typed), hasLeft: false}
    const pass: number[] = []
    for (const byte of typed) {
      if (byte !== this.#keys[this.#seen]) {
        pass.push(...this.#keys.slice(0, this.#seen))
        this.#seen = 0
      }
      if (byte !== this.#keys[this.#seen]) pass.push(byte)
      else if (++this.#seen === this.#keys.length) return {pass: Buffer.from(pass), hasLeft: true}
    }
    return {pass: Buffer.from(pass), hasLeft: false}
  }
}
