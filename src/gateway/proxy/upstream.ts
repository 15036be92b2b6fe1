import {isIPv6} from 'node:net'
import {Readable} from 'node:stream'
import {Agent, buildConnector, type Dispatcher} from 'undici'

export interface UpstreamTimes {
  connectMs: number
  /** From the sending to the head of the answer. */
  headMs: number
  /** Longest silence within the answer. */
  silenceMs: number
  /** Longest time in which the caller takes nothing of what is there. */
  unreadMs: number
}

export interface UpstreamCall {
  address: string
  /** Of the runtime's API. */
  port: number
  path: string
  headers: Record<string, string>
  body: Uint8Array
  signal: AbortSignal
  /** Called once, at the first byte of the answer's body. */
  onFirstByte: () => void
}

export interface UpstreamAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** Destroying it ends the call. */
  body: Readable
}

/**
 * `unreachable`: no connection came about. `garbled`: it is not HTTP that it speaks. `cut`: the connection ended before
 * the answer began. `silent`: no answer within the time.
 */
export class UpstreamFailure extends Error {
  constructor(
    readonly how: 'unreachable' | 'garbled' | 'cut' | 'silent',
    options?: ErrorOptions,
  ) {
    super(`The runtime is ${how}.`, options)
    this.name = 'UpstreamFailure'
  }
}

const maxHeadBytes = 16 * 1024
/** What stands unread between the runtime and a slow caller; the runtime waits beyond it. */
const bufferedBytes = 64 * 1024

/** Calls of runtimes: pooled connections to literal addresses, bounded and with deadlines; redirects are not followed. */
export class Upstream {
  readonly #agent: Agent
  readonly #unreadMs: number

  /** `mayDial` is asked at every dial (security T6). */
  constructor(options: {
    connections: number
    times: UpstreamTimes
    mayDial: (address: string, port: number) => boolean
  }) {
    const {connections, times, mayDial} = options
    this.#unreadMs = times.unreadMs
    const connect = buildConnector({timeout: times.connectMs})
    this.#agent = new Agent({
      connections,
      pipelining: 1,
      maxHeaderSize: maxHeadBytes,
      headersTimeout: times.headMs,
      bodyTimeout: times.silenceMs,
      connect: (target, done) => {
        const address = target.hostname.replace(/^\[|\]$/g, '')
        if (mayDial(address, Number(target.port))) connect(target, done)
        else done(Object.assign(new Error('this address is not dialled'), {code: 'ADDRESS_REFUSED'}), null)
      },
    })
  }

  /** Resolves at the head of the answer. Throws UpstreamFailure, or the signal's reason. */
  send({address, port, path, headers, body, signal, onFirstByte}: UpstreamCall): Promise<UpstreamAnswer> {
    const origin = `http://${isIPv6(address) ? `[${address}]` : address}:${port}`
    return new Promise((resolve, reject) => {
      const receiver = new Receiver({unreadMs: this.#unreadMs, signal, onFirstByte, resolve, reject})
      this.#agent.dispatch({origin, path, method: 'POST', headers, body}, receiver)
    })
  }

  /** Ends all connections, also those in use. */
  close(): Promise<void> {
    return this.#agent.destroy()
  }
}

interface Expectation {
  unreadMs: number
  signal: AbortSignal
  onFirstByte: () => void
  resolve: (answer: UpstreamAnswer) => void
  reject: (error: unknown) => void
}

/** Makes one answer of what undici says of it; the body flows no faster than it is read, and ends when nobody reads it. */
class Receiver implements Dispatcher.DispatchHandler {
  readonly #expected: Expectation
  #controller: Dispatcher.DispatchController | undefined
  #body: Readable | undefined
  #hasByte = false
  #isOver = false
  #unread: NodeJS.Timeout | undefined

  constructor(expected: Expectation) {
    this.#expected = expected
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    const {signal} = this.#expected
    if (signal.aborted) this.#abort()
    else signal.addEventListener('abort', this.#abort, {once: true})
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return
    this.#body = new Readable({
      highWaterMark: bufferedBytes,
      read: () => {
        clearTimeout(this.#unread)
        controller.resume()
      },
      destroy: (error, done) => {
        clearTimeout(this.#unread)
        if (!this.#isOver) controller.abort(error ?? new Error('nobody reads the answer'))
        done(error)
      },
    })
    this.#expected.resolve({status, headers, body: this.#body})
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (!this.#hasByte) {
      this.#hasByte = true
      this.#expected.onFirstByte()
    }
    const body = this.#body
    if (!body || body.push(piece)) return
    controller.pause()
    // undici's own clock stands still meanwhile, and the runtime works for nobody else.
    clearTimeout(this.#unread)
    this.#unread = setTimeout(() => body.destroy(new Error('nobody reads the answer')), this.#expected.unreadMs)
  }

  onResponseEnd(): void {
    this.#end()
    this.#body?.push(null)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#end()
    const {signal, reject} = this.#expected
    if (this.#body) this.#body.destroy(error)
    else reject(signal.aborted ? signal.reason : new UpstreamFailure(howItFailed(error), {cause: error}))
  }

  readonly #abort = () => this.#controller?.abort(this.#expected.signal.reason)

  #end(): void {
    this.#isOver = true
    this.#expected.signal.removeEventListener('abort', this.#abort)
  }
}

const notConnected = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'ETIMEDOUT'],
  ...['UND_ERR_CONNECT_TIMEOUT', 'ADDRESS_REFUSED'],
])

function howItFailed({name, code = ''}: NodeJS.ErrnoException): UpstreamFailure['how'] {
  if (notConnected.has(code)) return 'unreachable'
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return 'silent'
  return name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW' ? 'garbled' : 'cut'
}
