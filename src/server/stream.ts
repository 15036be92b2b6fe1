import type {ServerResponse} from 'node:http'

const preamble = Buffer.from(': gpuctl\nretry: 1000\n\n')
const ping = Buffer.from(': ping\n\n')

interface SentEvent {
  id?: string
  /** Absent: a plain message, what the stream is about. */
  event?: string
  data: unknown
}

/** One event as it goes over the wire. Whoever has many readers makes it once and gives all the same bytes. */
export function encodeEvent({id, event, data}: SentEvent): Buffer {
  const head = `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}`
  return Buffer.from(`${head}data: ${JSON.stringify(data)}\n\n`)
}

/**
 * The server's end of one event stream: a ping every 10 s so that a silent black hole shows (M16), and never more than
 * `maxQueuedBytes` unread when the next event comes – a reader that is further behind is cut off and may resume.
 */
export class EventWriter {
  readonly #response: ServerResponse
  readonly #maxQueuedBytes: number
  readonly #pings: NodeJS.Timeout
  readonly #closed = new AbortController()

  constructor(options: {response: ServerResponse; maxQueuedBytes: number; pingMs: number; preamble?: Buffer}) {
    this.#response = options.response
    this.#maxQueuedBytes = options.maxQueuedBytes
    this.#pings = setInterval(() => {
      if (this.#response.writableLength === 0) this.#response.write(ping)
    }, options.pingMs)
    this.#response.once('close', () => this.#finish())
    this.#response.once('error', () => this.#finish())
    this.#response.write(options.preamble ?? preamble)
    if (this.#response.destroyed) this.#finish()
  }

  /** Aborts when the stream is over, whoever ended it. */
  get signal(): AbortSignal {
    return this.#closed.signal
  }

  /** Sends an event at once, or cuts a reader off that has not kept up. */
  send(frame: Buffer): void {
    if (this.signal.aborted) return
    if (this.#response.writableLength > this.#maxQueuedBytes) this.cut()
    else this.#response.write(frame)
  }

  /** Sends an event and resolves when the reader has room again, for sources that can wait. */
  async sendSlowly(frame: Buffer): Promise<void> {
    if (this.signal.aborted || this.#response.write(frame)) return
    await new Promise<void>(resolve => {
      const go = () => {
        this.#response.off('drain', go)
        this.signal.removeEventListener('abort', go)
        resolve()
      }
      this.#response.once('drain', go)
      this.signal.addEventListener('abort', go)
      if (this.signal.aborted) go()
    })
  }

  end(): void {
    if (this.signal.aborted) return
    this.#response.end()
    this.#finish()
  }

  /** Ends the connection without waiting for the reader to take what is still queued. */
  cut(): void {
    this.#response.destroy()
    this.#finish()
  }

  #finish(): void {
    clearInterval(this.#pings)
    this.#closed.abort()
  }
}
