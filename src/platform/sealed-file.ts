import {createCipheriv, createDecipheriv, randomBytes, scrypt} from 'node:crypto'
import {createReadStream} from 'node:fs'
import {open} from 'node:fs/promises'
import {promisify} from 'node:util'

/** The file cannot be opened: another passphrase, changed, or not one of ours. */
export class CannotOpen extends Error {
  override readonly name = 'CannotOpen'
}

interface Head {
  sealed: 'gpuctl'
  version: 1
  kdf: 'scrypt'
  /** scrypt's cost; 128 MiB of memory and some 0.4 s. */
  n: number
  r: number
  p: number
  /** base64url */
  salt: string
  nonce: string
}

const cost = {n: 2 ** 17, r: 8, p: 1}
/** Of what a file may ask for; a stranger's file must not exhaust the machine. */
const largestCost = 2 ** 20
const tagBytes = 16
const longestHead = 1024
export const leastPassphrase = 12

/**
 * Encrypts with a key made from the passphrase: one line of JSON that says how, AES-256-GCM over the content with that line
 * as associated data, and the tag of 16 bytes at the end.
 */
export async function* seal(pieces: AsyncIterable<Uint8Array>, passphrase: string): AsyncGenerator<Buffer> {
  const head: Head = {
    ...{sealed: 'gpuctl', version: 1, kdf: 'scrypt', ...cost},
    salt: randomBytes(16).toString('base64url'),
    nonce: randomBytes(12).toString('base64url'),
  }
  const line = Buffer.from(`${JSON.stringify(head)}\n`)
  const key = await keyOf(passphrase, head)
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.from(head.nonce, 'base64url')).setAAD(line)
  yield line
  for await (const piece of pieces) yield cipher.update(piece)
  yield cipher.final()
  yield cipher.getAuthTag()
}

export async function isSealed(path: string): Promise<boolean> {
  return (await readHead(path)) !== undefined
}

/** The content. What came before an error at the end (CannotOpen) must not be used. */
export async function* unseal(path: string, passphrase: string): AsyncGenerator<Buffer> {
  const found = await readHead(path)
  if (!found) throw new CannotOpen(`${path} is not encrypted.`)
  const {line, head, sizeBytes} = found
  const end = sizeBytes - tagBytes
  if (end < line.length) throw new CannotOpen(`${path} is cut short.`)
  const tag = await readAt(path, end, tagBytes)
  const decipher = createDecipheriv('aes-256-gcm', await keyOf(passphrase, head), Buffer.from(head.nonce, 'base64url'))
  decipher.setAAD(line).setAuthTag(tag)
  if (end > line.length) {
    for await (const piece of createReadStream(path, {start: line.length, end: end - 1})) yield decipher.update(piece)
  }
  try {
    yield decipher.final()
  } catch (error) {
    throw new CannotOpen(`${path} does not open: the passphrase is another one, or the file was changed.`, {
      cause: error,
    })
  }
}

async function readHead(path: string): Promise<{line: Buffer; head: Head; sizeBytes: number} | undefined> {
  const start = await readAt(path, 0, longestHead)
  const length = start.indexOf('\n') + 1
  if (length === 0 || start[0] !== 0x7b) return undefined
  const line = start.subarray(0, length)
  let head: Head
  try {
    head = JSON.parse(line.toString())
  } catch {
    return undefined
  }
  if (head.sealed !== 'gpuctl') return undefined
  const {version, kdf, n, r, p} = head
  if (version !== 1 || kdf !== 'scrypt')
    throw new CannotOpen(`${path} was encrypted in a way that this gpuctl does not know; use a newer one.`)
  const isCost = [n, r, p].every(value => Number.isSafeInteger(value) && value > 0) && n * r * p <= largestCost * 8
  if (!isCost) throw new CannotOpen(`${path} asks for too much work to make its key.`)
  const file = await open(path)
  try {
    return {line, head, sizeBytes: (await file.stat()).size}
  } finally {
    await file.close()
  }
}

async function readAt(path: string, position: number, length: number): Promise<Buffer> {
  const file = await open(path)
  try {
    const {buffer, bytesRead} = await file.read(Buffer.alloc(length), 0, length, position)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

function keyOf(passphrase: string, {n, r, p, salt}: Head): Promise<Buffer> {
  const derive = promisify<string, Buffer, number, object, Buffer>(scrypt)
  const maxmem = 128 * n * r * p + 32 * 1024 * 1024
  return derive(passphrase.normalize('NFC'), Buffer.from(salt, 'base64url'), 32, {N: n, r, p, maxmem})
}
