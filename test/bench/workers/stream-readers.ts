import {connect, type Socket} from 'node:net'
import {type Spread, spreadOf} from '../figures.ts'
import {serveJobs} from '../worker-process.ts'

export interface ReadersJob {
  port: number
  path: string
  /** Streams are opened with these in turn. */
  tokens: string[]
  readers: number
  /** Time after the last one is connected in which events count. */
  forMs: number
}

export interface ReadersResult {
  events: number
  bytes: number
  /** From the time in the event to its last byte here. */
  latencyMs: Spread
  /** Streams that ended before they should. */
  cut: number
}

const openAtOnce = 50

/** Readers of one event stream that do as little as possible: they find each event's time and its end. */
serveJobs<ReadersJob, ReadersResult>(async job => {
  const readers: Reader[] = []
  for (let from = 0; from < job.readers; from += openAtOnce) {
    const group = Array.from({length: Math.min(openAtOnce, job.readers - from)}, (_, index) =>
      Reader.open(job, job.tokens[(from + index) % job.tokens.length]!),
    )
    readers.push(...(await Promise.all(group)))
  }
  for (const reader of readers) reader.begin()
  await new Promise(resolve => setTimeout(resolve, job.forMs))
  const latencies = readers.flatMap(reader => reader.latenciesMs)
  const bytes = readers.reduce((sum, reader) => sum + reader.bytes, 0)
  const cut = readers.filter(reader => reader.isCut).length
  for (const reader of readers) reader.close()
  return {events: latencies.length, bytes, latencyMs: spreadOf(latencies), cut}
})

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

  static open({port, path}: ReadersJob, token: string): Promise<Reader> {
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
