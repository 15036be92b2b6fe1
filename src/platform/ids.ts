import {createHash, randomBytes, randomInt, randomUUID} from 'node:crypto'

/** A fresh id: a random UUID. */
export function newId(): string {
  return randomUUID()
}

/** `bytes` random bytes as base64url; 32 make a secret that nobody guesses. */
export function randomSecret(bytes = 32): string {
  return randomBytes(bytes).toString('base64url')
}

export function sha256Hex(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Lower case without 0, 1, i, l and o, so that a name can be read aloud. */
const CLEAR_CHARACTERS = 'abcdefghjkmnpqrstuvwxyz23456789'

/** Four clear characters to end a name with (`trainer-k7mp`): 923,521 of them, so the store must still refuse a twin. */
export function shortName(): string {
  return Array.from({length: 4}, () => CLEAR_CHARACTERS[randomInt(CLEAR_CHARACTERS.length)]).join('')
}
