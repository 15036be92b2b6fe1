import type {IncomingHttpHeaders} from 'node:http'

/** A whole HTTP answer. Names of headers in lower case. */
export interface Answer {
  statusCode: number
  headers: IncomingHttpHeaders
  text: string
}

const maxHeadBytes = 64 * 1024
const none = Buffer.alloc(0)

/**
 * Reads one HTTP/1.1 answer (RFC 9112) from the pieces of a connection that serves this one alone. Throws an Error with a
 * code where what comes is none, and a RangeError where it is too long.
 */
export class AnswerReader {
  readonly #maxBytes: number
  readonly #pieces: Buffer[] = []
  #rest: Buffer = none
  #head: Omit<Answer, 'text'> | undefined
  /** Bytes of the body that are still to come; undefined: until the end of the connection. */
  #left: number | undefined
  #chunked: 'size' | 'content' | 'behind' | 'trailer' | undefined
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The answer when it is whole. */
  push(piece: Buffer): Answer | undefined {
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    while (!this.#head) if (!this.#readHead()) return undefined
    return (this.#chunked ? this.#readChunks() : this.#readBody()) ? this.#answer() : undefined
  }

  /** The connection ended: the answer where nothing else could tell its length. */
  end(): Answer | undefined {
    return this.#head && !this.#chunked && this.#left === undefined ? this.#answer() : undefined
  }

  #answer(): Answer {
    return {...(this.#head as Omit<Answer, 'text'>), text: Buffer.concat(this.#pieces).toString('utf8')}
  }

  /** False: it is not all there yet. */
  #readHead(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0 ? this.#rest.length > maxHeadBytes : end > maxHeadBytes) throw noHttp('its head is too long')
    if (end < 0) return false
    const [first = '', ...lines] = this.#rest.toString('latin1', 0, end).split('\r\n')
    this.#rest = this.#rest.subarray(end + 4)
    const [, digits] = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(first) ?? []
    if (digits === undefined) throw noHttp('it does not begin as one')
    const statusCode = Number(digits)
    // 100 Continue and the like come before the answer.
    if (statusCode < 200) return true
    const headers = readHeaders(lines)
    this.#head = {statusCode, headers}
    const {'transfer-encoding': encoding, 'content-length': length} = headers
    if (statusCode === 204 || statusCode === 304) this.#left = 0
    else if (encoding !== undefined) {
      if (encoding.toLowerCase() !== 'chunked') throw noHttp(`its transfer-encoding is ${encoding}`)
      this.#chunked = 'size'
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) throw noHttp('its length is no number')
      this.#left = Number(length)
      this.#count(this.#left)
    }
    return true
  }

  #readBody(): boolean {
    const taken = this.#take(this.#left ?? Number.POSITIVE_INFINITY)
    if (this.#left === undefined) this.#count(taken)
    else this.#left -= taken
    return this.#left === 0
  }

  #readChunks(): boolean {
    for (;;) {
      if (this.#chunked === 'content') {
        this.#left = (this.#left as number) - this.#take(this.#left as number)
        if (this.#left > 0) return false
        this.#chunked = 'behind'
      }
      const end = this.#rest.indexOf('\r\n')
      if (end < 0) {
        if (this.#rest.length > maxHeadBytes) throw noHttp('a chunk has no size')
        return false
      }
      const line = this.#rest.toString('latin1', 0, end)
      this.#rest = this.#rest.subarray(end + 2)
      if (this.#chunked === 'trailer') {
        if (line === '') return true
      } else if (this.#chunked === 'behind') {
        if (line !== '') throw noHttp('a chunk is longer than its size')
        this.#chunked = 'size'
      } else {
        const [, digits] = /^([0-9a-fA-F]{1,8})[ \t]*(?:;|$)/.exec(line) ?? []
        if (digits === undefined) throw noHttp('a chunk has no size')
        this.#left = Number.parseInt(digits, 16)
        this.#count(this.#left)
        this.#chunked = this.#left === 0 ? 'trailer' : 'content'
      }
    }
  }

  /** Takes at most so many bytes into the body; answers how many there were. */
  #take(most: number): number {
    const piece = this.#rest.subarray(0, Math.min(most, this.#rest.length))
    this.#rest = this.#rest.subarray(piece.length)
    if (piece.length > 0) this.#pieces.push(piece)
    return piece.length
  }

  #count(more: number): void {
    this.#bytes += more
    if (this.#bytes > this.#maxBytes) throw new RangeError(`The answer is larger than ${this.#maxBytes} bytes.`)
  }
}

/** The first of several counts, but two lengths are none at all. */
function readHeaders(lines: string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (colon < 1 || /[^!#$%&'*+.^_`|~0-9a-z-]/.test(name)) throw noHttp('it has a line that is no header')
    const value = line.slice(colon + 1).trim()
    if (name === 'content-length' && headers[name] !== undefined && headers[name] !== value) {
      throw noHttp('it has two lengths')
    }
    headers[name] ??= value
  }
  return headers
}

function noHttp(why: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`what answers there does not speak HTTP (${why})`), {code: 'NOT_HTTP'})
}
