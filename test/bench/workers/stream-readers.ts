import {connect, type Socket} from 'node:net'
import {type Spread, spreadOf} from '../figures.ts'
import {serveJobs} from '../worker-process.ts'

/** First `open`, answered when all streams are open; then `read`, which lets events count for that time and ends. */
export type ReadersJob =
  | {do: 'open'; port: number; path: string; tokens: string[]; readers: number}
  | {do: 'read'; forMs: number}

export interface ReadersResult {
  events: number
  bytes: number
  /** From the time in the event to its last byte here. */
  latencyMs: Spread
  /** Streams that ended before they should. */
  cut: number
}

const openAtOnce = 50
const opened: Reader[] = []

/** Readers of one event stream that do as little as possible: they find each event's time and its end. */
serveJobs<ReadersJob, ReadersResult>(async job => {
  if (job.do === 'open') {
    for (let from = 0; from < job.readers; from += openAtOnce) {
      const group = Array.from({length: Math.min(openAtOnce, job.readers - from)}, (_, index) =>
        Reader.open(job, job.tokens[(from + index) % job.tokens.length]!),
      )
      opened.push(...(await Promise.all(group)))
    }
    return resultOf([])
  }
  for (const reader of opened) reader.begin()
  await new Promise(resolve => setTimeout(resolve, job.forMs))
  const readers = opened.splice(0)
  const result = resultOf(readers)
  for (const reader of readers) reader.close()
  return result
})

function resultOf(readers: readonly Reader[]): ReadersResult {
  const latencies = readers.flatMap(reader => reader.latenciesMs)
  const bytes = readers.reduce((sum, reader) => sum + reader.bytes, 0)
  return {
    events: latencies.length,
    bytes,
    latencyMs: spreadOf(latencies),
    cut: readers.filter(({isCut}) => isCut).length,
  }
}

/** Reads a body in chunks; the server writes each event as one chunk, and a ping is one without a time. */
class Reader {
  readonly latenciesMs: number[] = []
  bytes = 0
  isCut = false
  readonly #socket: Socket
  #counts = false
  /** Bytes of the current chunk that are still to come, with the line end after it; undefined between chunks. */
  #left: number | undefined
  #sentAtMs: number | undefined
  #rest: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket, rest: Buffer) {
    this.#socket = socket
    socket.on('data', piece => this.#take(piece))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isCut = true
    })
    if (rest.length > 0) this.#take(rest)
  }

  static open({port, path}: {port: number; path: string}, token: string): Promise<Reader> {
    return new Promise((resolve, reject) => {
      const socket = connect({host: '127.0.0.1', port})
      let head = Buffer.alloc(0)
      const read = (piece: Buffer) => {
        head = Buffer.concat([head, piece])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        socket.off('data', read)
        socket.off('error', reject)
        const status = head.toString('latin1', 9, 12)
        if (status !== '200') return reject(new Error(`A stream was refused: ${head.toString('latin1').slice(0, 600)}`))
        resolve(new Reader(socket, head.subarray(end + 4)))
      }
      socket.once('error', reject)
      socket.on('data', read)
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\nAccept: text/event-stream\r\n\r\n`,
      )
    })
  }

  begin(): void {
    this.#counts = true
    this.bytes = 0
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(piece: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, piece]) : piece
    this.#rest = Buffer.alloc(0)
    while (data.length > 0) {
      if (this.#left === undefined) {
        const end = data.indexOf('\r\n')
        // The time stands near the beginning of an event; wait until it is here as a whole.
        if (
          end < 0 ||
          (data.length < end + 200 && data.length < end + 2 + Number.parseInt(data.toString('latin1', 0, end), 16))
        ) {
          this.#rest = Buffer.from(data)
          return
        }
        const length = Number.parseInt(data.toString('latin1', 0, end), 16)
        const at = /"at":"([^"]+)"/.exec(data.toString('latin1', end + 2, end + 2 + Math.min(200, length)))?.[1]
        this.#sentAtMs = at ? Date.parse(at) : undefined
        this.#left = length + 2
        data = data.subarray(end + 2)
      }
      const taken = Math.min(this.#left, data.length)
      this.#left -= taken
      this.bytes += taken
      data = data.subarray(taken)
      if (this.#left > 0) return
      this.#left = undefined
      if (this.#counts && this.#sentAtMs !== undefined) this.latenciesMs.push(Date.now() - this.#sentAtMs)
    }
  }
}
