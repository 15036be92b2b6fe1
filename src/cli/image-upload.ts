import {createHash} from 'node:crypto'
import {createReadStream} from 'node:fs'
import {stat} from 'node:fs/promises'
import {setTimeout as delay} from 'node:timers/promises'
import {ApiError, UnreachableError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import type {OsImage} from '../contract/schemas/os-images.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {bytes} from './output/figures.ts'

/** A call has 30 s on the server: pieces grow while they take less than a few, and shrink when one is cut. */
const piece = {firstBytes: 8 * 2 ** 20, leastBytes: 2 ** 20, mostBytes: 256 * 2 ** 20, quickMs: 5_000}
/** One cut after the other without a byte more: then the way is broken for good. */
const mostCuts = 8
const pauseMs = 1_000

interface Upload {
  client: Client
  path: string
  file: string
  node: string
  signal?: AbortSignal
  tell(text: string): void
}

/** Sends a file in pieces and goes on where it was cut, also in a later call. Resolves when its SHA-256 was found right. */
export async function uploadImage({client, path, file, node, signal, tell}: Upload): Promise<OsImage> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) throw usageError(`There is no file ${path}.`, 'Give the path of an image.')
  const totalBytes = found.size
  if (totalBytes === 0) throw usageError(`${path} is empty.`, 'Give the path of an image.')
  const look = async () => (await client.call('osImages.list', {node}, {signal})).filter(one => one.file === file)
  // First, since a large file is read for minutes.
  const there = await look()
  if (there.some(one => one.sha256 === '')) {
    const words = `There is already a file ${file} on ${node}.`
    throw new Failure('storage_taken', words, {exitCode: exitCode.conflict, hint: 'Choose another name: --name.'})
  }
  tell(`Reading ${file} (${bytes(totalBytes)})`)
  const sha256 = await sumOf(path, signal)
  let offset = there.find(one => one.sha256 === sha256)?.sizeBytes ?? 0
  let size: number = piece.firstBytes
  for (let cuts = 0; ; ) {
    tell(`Sending ${file}: ${Math.floor((100 * offset) / totalBytes)} % of ${bytes(totalBytes)}`)
    const count = Math.min(size, totalBytes - offset)
    const startedAt = performance.now()
    try {
      const content = createReadStream(path, {start: offset, end: offset + count - 1})
      const input = {file, node, offset, totalBytes, sha256}
      const image = await client.upload('osImages.upload', input, {content, bytes: count}, {signal})
      if (image.sizeBytes === totalBytes) return image
      if (image.sizeBytes <= offset)
        throw new Failure(
          'upload_stuck',
          `The node keeps nothing more of ${file}; ${howFar(image.sizeBytes, totalBytes)}`,
        )
      offset = image.sizeBytes
      cuts = 0
      if (performance.now() - startedAt < piece.quickMs) size = Math.min(size * 2, piece.mostBytes)
    } catch (error) {
      if (!isCut(error) || signal?.aborted) throw error
      if (++cuts > mostCuts)
        throw new Failure('connection_lost', `${file} was cut ${mostCuts} times; ${howFar(offset, totalBytes)}`)
      await delay(pauseMs, undefined, {signal})
      const images = await look()
      const whole = images.find(one => one.sha256 === '' && one.sizeBytes === totalBytes)
      if (whole) return whole
      offset = images.find(one => one.sha256 === sha256)?.sizeBytes ?? 0
      size = Math.max(Math.floor(size / 2), piece.leastBytes)
    }
  }
}

function isCut(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof ApiError && [408, 429, 502, 503].includes(error.status))
}

function howFar(offset: number, totalBytes: number): string {
  return `${bytes(offset)} of ${bytes(totalBytes)} have come. Call it again to go on.`
}

async function sumOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path, {highWaterMark: 2 ** 20, signal})) hash.update(part as Buffer)
  return hash.digest('hex')
}
