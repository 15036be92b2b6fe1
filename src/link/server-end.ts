import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import {Socket} from 'node:net'
import {type Duplex, pipeline, Readable} from 'node:stream'
import {type Clock, systemClock} from '../platform/clock.ts'
import {LinkError, RemoteError} from './link-error.ts'
import {LinkStream} from './link-stream.ts'
import {
  LINK_PROTOCOL,
  type LinkTiming,
  MAX_STREAMS,
  type SessionWatch,
  sessionOptions,
  watchSession,
  widenWindow,
} from './session.ts'
import {Slots} from './slots.ts'

const MAX_LONG_STREAMS = 800
const MAX_JSON_BYTES = 8 * 1024 * 1024
const DEFAULT_TIMEOUT_MS = 30_000

export interface LinkRequest {
  method?: string
  /** With query, from `/`. */
  path: string
  headers?: Record<string, string>
  /** An object goes as JSON. A stream that fails resets the call. */
  body?: object | Buffer | Readable
  /**
   * Until the answer begins, and for each silence in its body. Absent: 30 s until it begins and then no limit, which
   * makes it a long stream (800 a link).
   */
  timeoutMs?: number
  signal?: AbortSignal
}

export interface LinkResponse {
  status: number
  headers: IncomingHttpHeaders
  /** Fails with `LinkError` unless it is whole. Read it to its end or destroy it: it holds one of the link's streams. */
  body: Readable
}

/** A stream with both directions open, until the other side ends its output. */
export interface DuplexCall {
  output: Readable
  /** Resolves when there is room for more. Rejects with `LinkError` when the stream ended. */
  write(bytes: Uint8Array): Promise<void>
  /** No more input; the output goes on. */
  endInput(): void
  /** Ends both directions now. */
  close(): void
}

/**
 * Answers the upgrade with 101 and becomes the client of the agent that dialled. Whom to let in is the caller's matter.
 * Rejects with `LinkError` when the agent is gone already.
 */
export async function acceptLink(socket: Duplex, head: Buffer, timing: LinkTiming = {}): Promise<ServerLink> {
  socket.on('error', () => {}) // 'close' tells the end
  // The session may take the socket over only when nothing is being written: on TLS, Node 20 ends the whole process
  // ("Assertion failed: is_write_in_progress()") when the end of a write that was not the session's reaches it.
  await new Promise<void>((resolve, reject) => {
    const gone = () => reject(new LinkError('link_down', 'The agent hung up before the link was open.'))
    if (socket.destroyed) return gone()
    socket.once('close', gone)
    const answer = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n\r\n`
    socket.write(answer, error => {
      socket.off('close', gone)
      if (error || socket.destroyed) gone()
      else resolve()
    })
  })
  if (head.length > 0) socket.unshift(head)
  return new ServerLink(socket, timing)
}

/** The server's end of a link: it asks, the agent answers. */
export class ServerLink {
  readonly #session: ClientHttp2Session
  readonly #watch: SessionWatch
  readonly #clock: Clock
  readonly #slots = new Slots({max: MAX_STREAMS, maxLong: MAX_LONG_STREAMS})

  constructor(socket: Duplex, timing: LinkTiming = {}) {
    this.#clock = timing.clock ?? systemClock
    if (socket instanceof Socket) socket.setNoDelay(true).setTimeout(0)
    this.#session = connect('http://link', {...sessionOptions, createConnection: () => socket})
    this.#session.setMaxListeners(0)
    widenWindow(this.#session)
    this.#watch = watchSession(this.#session, socket, timing)
    void this.closed.then(() => this.#slots.close(this.#down()))
  }

  /** Why the link ended; never rejects. */
  get closed(): Promise<string> {
    return this.#watch.closed
  }

  get isClosed(): boolean {
    return this.#watch.isClosed()
  }

  /** Ends the link with all calls in flight; the agent is told the reason. */
  close(reason = 'closed by the server'): void {
    this.#watch.close(reason)
  }

  /** Round trip, ms. Rejects with `LinkError`. */
  ping(): Promise<number> {
    return this.#watch.ping()
  }

  /** Resolves when the answer begins, whatever its status. Rejects with `LinkError`. */
  async request(request: LinkRequest): Promise<LinkResponse> {
    const {status, headers, stream} = await this.#begin(request, request.body === undefined)
    return {status, headers, body: stream}
  }

  /** The answer's JSON. Throws `RemoteError` for a status from 300 on, and `LinkError`. `timeoutMs` is for the whole (default 30 s). */
  async json<T>(request: LinkRequest & {maxBytes?: number}): Promise<T> {
    const {timeoutMs = DEFAULT_TIMEOUT_MS, maxBytes = MAX_JSON_BYTES} = request
    const startMs = this.#clock.monotonic()
    const {status, body} = await this.request({...request, timeoutMs})
    const leftMs = timeoutMs - (this.#clock.monotonic() - startMs)
    const timer = this.#clock.setTimeout(() => body.destroy(timedOut(request.path, timeoutMs)), leftMs)
    try {
      const text = await readText(body, maxBytes)
      if (status >= 300) throw remoteError(status, text)
      return (text === '' ? undefined : JSON.parse(text)) as T
    } catch (error) {
      if (error instanceof SyntaxError) throw new LinkError('bad_answer', `${request.path} did not answer JSON.`)
      throw error
    } finally {
      timer.cancel()
    }
  }

  /** A long answer: `GET path`, without a limit to its length. Throws `RemoteError` for a status from 300 on, and `LinkError`. */
  async open(path: string, options: Omit<LinkRequest, 'path' | 'timeoutMs'> = {}): Promise<LinkResponse> {
    const response = await this.request({...options, path})
    if (response.status >= 300) throw remoteError(response.status, await readText(response.body, 64 * 1024))
    return response
  }

  /** A stream with both directions open (exec, port forward). `check` may throw to refuse an answer; default as `open`. */
  async duplex(
    request: Omit<LinkRequest, 'body' | 'timeoutMs'> & {check?: (status: number, body: Readable) => Promise<void>},
  ): Promise<DuplexCall> {
    const {status, stream} = await this.#begin({...request, method: request.method ?? 'POST'}, false)
    try {
      if (request.check) await request.check(status, stream)
      else if (status >= 300) throw remoteError(status, await readText(stream, 64 * 1024))
    } catch (error) {
      stream.destroy()
      throw error
    }
    stream.once('end', () => stream.end()) // else a caller who forgets to close keeps the stream for ever
    return {
      output: stream,
      write: bytes => writeTo(stream, bytes),
      endInput: () => void stream.end(),
      close: () => void stream.destroy(),
    }
  }

  async #begin(request: LinkRequest, endInput: boolean) {
    const {method = 'GET', path, headers = {}, body, timeoutMs, signal} = request
    const abort = new AbortController()
    const fail = (error: LinkError) => abort.abort(error)
    const waitMs = timeoutMs ?? DEFAULT_TIMEOUT_MS
    const timer = this.#clock.setTimeout(() => fail(timedOut(path, waitMs)), waitMs)
    const onAbort = () => fail(new LinkError('aborted', `${method} ${path} was aborted.`, {cause: signal?.reason}))
    const forget = () => signal?.removeEventListener('abort', onAbort)
    signal?.addEventListener('abort', onAbort, {once: true})
    if (signal?.aborted) onAbort()

    try {
      if (this.#watch.isClosed()) throw this.#down()
      abort.signal.throwIfAborted()
      const payload = encodeBody(body)
      const giveBack = await this.#slots.take(timeoutMs === undefined, abort.signal)
      let stream: ClientHttp2Stream
      try {
        abort.signal.throwIfAborted() // meanwhile
        if (this.#watch.isClosed()) throw this.#down()
        stream = this.#session.request(
          {...payload.headers, ...headers, ':method': method, ':path': path},
          {endStream: endInput},
        )
      } catch (error) {
        giveBack()
        throw error
      }
      stream.on('error', () => {}) // for good: after the answer, too, nothing here may end the process
      stream.once('close', giveBack)
      stream.once('close', forget)
      const answer = await this.#answer(stream, payload, abort.signal)
      if (abort.signal.aborted) answer.stream.destroy(abort.signal.reason)
      if (timeoutMs !== undefined) stream.setTimeout(timeoutMs, () => answer.stream.destroy(timedOut(path, timeoutMs)))
      abort.signal.addEventListener('abort', () => answer.stream.destroy(abort.signal.reason), {once: true})
      if (endInput || body !== undefined) answer.stream.end()
      return answer
    } catch (error) {
      forget()
      if (body instanceof Readable) body.destroy()
      throw error
    } finally {
      timer.cancel()
    }
  }

  #answer(stream: ClientHttp2Stream, payload: ReturnType<typeof encodeBody>, signal: AbortSignal) {
    type Answer = {status: number; headers: IncomingHttpHeaders; stream: LinkStream}
    return new Promise<Answer>((resolve, reject) => {
      const onAbort = () => {
        reject(signal.reason)
        stream.destroy(signal.reason)
      }
      signal.addEventListener('abort', onAbort, {once: true})
      stream.once('response', (headers: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
        signal.removeEventListener('abort', onAbort)
        const downReason = () => (this.#watch.isClosed() || this.#session.destroyed ? this.#watch.reason() : undefined)
        const ownsInput = payload.bytes === undefined && payload.stream === undefined
        resolve({status: headers[':status'] ?? 0, headers, stream: new LinkStream({stream, downReason, ownsInput})})
      })
      stream.once('close', () => {
        signal.removeEventListener('abort', onAbort)
        const isDown = this.#watch.isClosed() || this.#session.destroyed
        reject(
          isDown ? this.#down() : new LinkError('stream_reset', 'The other side ended the stream without an answer.'),
        )
      })
      if (payload.stream)
        pipeline(payload.stream, stream, () => {}) // a failure destroys the stream, and so ends the call
      else if (payload.bytes) stream.end(payload.bytes)
    })
  }

  #down(): LinkError {
    return new LinkError('link_down', `The link is down: ${this.#watch.reason() || 'the connection ended'}.`)
  }
}

function encodeBody(body: LinkRequest['body']): {headers: Record<string, string>; bytes?: Buffer; stream?: Readable} {
  if (body === undefined) return {headers: {}}
  if (body instanceof Readable) return {headers: {}, stream: body}
  if (Buffer.isBuffer(body)) return {headers: {'content-length': String(body.length)}, bytes: body}
  const bytes = Buffer.from(JSON.stringify(body))
  return {headers: {'content-type': 'application/json', 'content-length': String(bytes.length)}, bytes}
}

function timedOut(path: string, timeoutMs: number): LinkError {
  return new LinkError('timeout', `${path} did not answer within ${timeoutMs} ms.`)
}

function remoteError(status: number, text: string): RemoteError {
  let error: {code?: string; message?: string} | undefined
  try {
    error = JSON.parse(text)?.error
  } catch {
    // not JSON: the status has to do
  }
  return new RemoteError(status, error?.code ?? 'failed', error?.message ?? `The other side answered ${status}.`)
}

async function readText(body: Readable, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > maxBytes) throw new LinkError('too_big', `The answer is larger than ${maxBytes} bytes.`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function writeTo(stream: Duplex, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stream.destroyed || stream.writableEnded)
      return reject(stream.errored ?? new LinkError('stream_reset', 'The stream has ended.'))
    stream.write(bytes, error => (error ? reject(error) : resolve()))
  })
}
