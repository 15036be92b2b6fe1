import {createHash} from 'node:crypto'
import {S3mini} from 's3mini'
import {StorageError, type StorageErrorCode} from '../driver.ts'
import {backupName} from '../grammar.ts'
import {orTakenBack} from '../taking-back.ts'
import {guardedFetch, whyNoAnswer} from './guarded-fetch.ts'
import {checkedAccess, type S3Access} from './s3-access.ts'
import type {BackupTarget, WriteOptions} from './target.ts'

const mebibyte = 1024 * 1024
/** Parts of one upload that are on their way, and in memory, at the same time. */
const mostInFlight = 4
const smallestPart = 16 * mebibyte
/** S3 takes 10,000 parts; a guess of the size may be wrong by a fifth. */
const mostParts = 8_000
const tries = 3
const requestTimeoutMs = 5 * 60_000

interface UploadList {
  Upload?: Upload | Upload[]
  ListMultipartUploadsResult?: UploadList
}

interface Upload {
  Key: string
  UploadId: string
}

interface Part {
  partNumber: number
  etag: string
}

/**
 * A bucket. A file is sent in parts; what an upload of the same name left behind when its agent died is taken over, part
 * by part, where the bytes are the same. Requests are signed (AWS Signature 4) and never follow a redirect.
 */
export class S3Target implements BackupTarget {
  readonly #access: S3Access
  readonly #s3: S3mini

  constructor(access: S3Access) {
    this.#access = checkedAccess(access)
    const {endpoint, bucket, region, accessKeyId, secretAccessKey} = this.#access
    this.#s3 = new S3mini({
      endpoint: `${endpoint}/${bucket}`,
      ...{region, accessKeyId, secretAccessKey, requestAbortTimeout: requestTimeoutMs, fetch: fetchOnce()},
    })
  }

  async write(name: string, content: AsyncIterable<Buffer>, options: WriteOptions): Promise<void> {
    const key = this.#key(name)
    const {expectedBytes, signal} = options
    if ((await this.size(name)) !== null) throw new StorageError('exists', `${this.#shown(key)} is there already.`)
    const partBytes = Math.max(smallestPart, Math.ceil((expectedBytes * 1.2) / mostParts / mebibyte) * mebibyte)
    await this.#inWords(key, async () => {
      const uploadId =
        (await this.#begun(key)) ?? (await this.#s3.getMultipartUploadId(key, 'application/octet-stream'))
      const work = async () => {
        const known = await this.#partsOf(key, uploadId)
        const parts = await this.#send(inParts(content, partBytes), {key, uploadId, known, signal})
        await this.#s3.completeMultipartUpload(key, uploadId, parts)
      }
      await orTakenBack(() => this.#inWords(key, work), {
        undo: () => this.#inWords(key, () => this.#s3.abortMultipartUpload(key, uploadId)),
        left: `Parts of ${this.#shown(key)} are left in the bucket, which may cost money: end the upload there.`,
      })
    })
  }

  async *read(name: string, {from = 0, signal}: {from?: number; signal: AbortSignal}): AsyncGenerator<Uint8Array> {
    const key = this.#key(name)
    const answer = await this.#inWords(key, () => this.#s3.getObjectRaw(key, false, from))
    const {body} = answer
    if (!body) return
    try {
      for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
        signal.throwIfAborted()
        yield piece
      }
    } catch (error) {
      signal.throwIfAborted()
      throw new StorageError('failed', `${this.#shown(key)}: the connection broke.`, {cause: error})
    }
  }

  async size(name: string): Promise<number | null> {
    const key = this.#key(name)
    return this.#inWords(key, async () => {
      const there = await this.#s3.objectExists(key)
      return there === true ? this.#s3.getContentLength(key) : null
    })
  }

  async remove(name: string): Promise<void> {
    const key = this.#key(name)
    await this.#inWords(key, async () => {
      for (let uploadId = await this.#begun(key); uploadId; uploadId = await this.#begun(key)) {
        await this.#s3.abortMultipartUpload(key, uploadId)
      }
      if ((await this.#s3.objectExists(key)) === true) await this.#s3.deleteObject(key)
    })
  }

  /** The upload of this key that somebody began and nobody ended. */
  async #begun(key: string): Promise<string | undefined> {
    const found = (await this.#s3.listMultipartUploads('/', '', 'GET', {prefix: key})) as unknown as UploadList
    const uploads = [(found.ListMultipartUploadsResult ?? found).Upload ?? []].flat()
    return uploads.find(upload => upload.Key === key)?.UploadId
  }

  /** MD5 of the parts that are there, by number (AWS: ListParts). */
  async #partsOf(key: string, uploadId: string): Promise<Map<number, string>> {
    const parts = new Map<number, string>()
    for (let after = 0; ; ) {
      const answer = await this.#s3.getObjectResponse(key, {uploadId, 'part-number-marker': after})
      const text = (await answer?.text()) ?? ''
      for (const [, part = ''] of text.matchAll(/<Part>(.*?)<\/Part>/gs)) {
        const partNumber = Number(/<PartNumber>(\d+)</.exec(part)?.[1])
        parts.set(partNumber, /<ETag>(?:&quot;|&#34;|")?([0-9a-f]+)/.exec(part)?.[1] ?? '')
      }
      const next = Number(/<NextPartNumberMarker>(\d+)</.exec(text)?.[1] ?? 0)
      if (!/<IsTruncated>true</.test(text) || next <= after) return parts
      after = next
    }
  }

  async #send(
    pieces: AsyncIterable<Buffer>,
    to: {key: string; uploadId: string; known: ReadonlyMap<number, string>; signal: AbortSignal},
  ): Promise<Part[]> {
    const parts: Part[] = []
    const underway = new Set<Promise<void>>()
    let failure: unknown
    let partNumber = 0
    try {
      for await (const piece of pieces) {
        partNumber += 1
        const number = partNumber
        const sending = this.#sendPart(piece, number, to)
          .then(part => {
            parts[number - 1] = part
          })
          .catch(error => {
            failure ??= error
          })
          .finally(() => underway.delete(sending))
        underway.add(sending)
        if (underway.size >= mostInFlight) await Promise.race(underway)
        if (failure) throw failure
      }
    } finally {
      await Promise.all(underway)
    }
    if (failure) throw failure
    return parts
  }

  async #sendPart(
    bytes: Buffer,
    partNumber: number,
    {
      key,
      uploadId,
      known,
      signal,
    }: {key: string; uploadId: string; known: ReadonlyMap<number, string>; signal: AbortSignal},
  ): Promise<Part> {
    const md5 = createHash('md5').update(bytes).digest('hex')
    if (known.get(partNumber) === md5) return {partNumber, etag: md5}
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted()
      try {
        return await this.#s3.uploadPart(key, uploadId, bytes as never, partNumber)
      } catch (error) {
        const status = (error as {status?: number}).status ?? 500
        if (attempt >= tries || (status >= 400 && status < 500)) throw error
      }
    }
  }

  #key(name: string): string {
    return `${this.#access.prefix}${backupName(name)}`
  }

  #shown(key: string): string {
    return `s3://${this.#access.bucket}/${key}`
  }

  async #inWords<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (thrown) {
      const error = refusalIn(thrown)
      if (error instanceof StorageError || (error as Error).name === 'AbortError') throw error
      const {status = 0} = error as {status?: number}
      const where = `${this.#shown(key)} at ${new URL(this.#access.endpoint).host}`
      const [code, words] = meanings[status] ?? (['failed', whyNoAnswer(error as Error)] as const)
      throw new StorageError(code, `${where}: ${words}`, {cause: error})
    }
  }
}

const meanings: Record<number, readonly [StorageErrorCode, string]> = {
  301: ['invalid', 'the bucket lies in another region.'],
  401: ['failed', 'it refuses the key.'],
  403: ['failed', 'it refuses the key, or the key may not do this.'],
  404: ['not_found', 'it is not there.'],
  412: ['exists', 'it is there already.'],
  507: ['full', 'it has no room left.'],
}

/** What was refused before the dial, from within the error of whoever dialled. */
function refusalIn(error: unknown): unknown {
  for (let inner = error; inner instanceof Error; inner = inner.cause) if (inner instanceof StorageError) return inner
  return error
}

/** An object that is there is not replaced. */
function fetchOnce(): typeof fetch {
  const send = guardedFetch()
  return (input, init = {}) => {
    const isCompletion = init.method === 'POST' && String(input).includes('uploadId=')
    const headers = isCompletion ? {...(init.headers as Record<string, string>), 'if-none-match': '*'} : init.headers
    return send(input, {...init, headers})
  }
}

/** All of the same size but the last one. */
async function* inParts(content: AsyncIterable<Buffer>, partBytes: number): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of content) {
    let rest = piece
    while (bytes + rest.length >= partBytes) {
      const cut = partBytes - bytes
      yield Buffer.concat([...pieces, rest.subarray(0, cut)])
      pieces = []
      bytes = 0
      rest = rest.subarray(cut)
    }
    if (rest.length > 0) pieces.push(rest)
    bytes += rest.length
  }
  if (bytes > 0) yield Buffer.concat(pieces)
}
