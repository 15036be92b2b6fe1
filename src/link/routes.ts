import type {IncomingHttpHeaders, ServerHttp2Stream} from 'node:http2'
import type {Writable} from 'node:stream'
import type {StreamHandler} from './agent-end.ts'

/** What a handler of the agent gets for one call. Once it has resolved, an answer must have begun. */
export interface AgentCall {
  params: Record<string, string>
  query: URLSearchParams
  headers: IncomingHttpHeaders
  /** Input of the call, and output once `respondStream` was called. */
  stream: ServerHttp2Stream
  /** Throws `CallProblem` 413 beyond `maxBytes` (default 1 MiB), 400 when it is not JSON. */
  readJson(maxBytes?: number): Promise<unknown>
  respondJson(status: number, value: unknown): void
  /** Begins the answer. `write` says false when the server is slower: wait for 'drain'. */
  respondStream(status: number, contentType: string): Writable
  /** Calls `fn` once when the stream has ended, however it ended; at once when it has. */
  onClose(fn: () => void): void
}

export type AgentHandler = (call: AgentCall) => void | Promise<void>

/** An expected failure with its status; other errors become 500 `internal`. */
export class CallProblem extends Error {
  override readonly name = 'CallProblem'
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

interface Route {
  method: string
  segments: string[]
  handler: AgentHandler
}

/**
 * Answers streams by a table of `'GET /containers/:id/logs'` → handler. A failure before the answer began is
 * `{error: {code, message}}`; after it, the stream is reset, so that the server knows that it is not whole.
 */
export function createAgentRouter(
  handlers: Record<string, AgentHandler>,
  {onError}: {onError?: (error: unknown, route: string) => void} = {},
): StreamHandler {
  const routes = Object.entries(handlers).map(([pattern, handler]): Route => {
    const [method = '', path = ''] = pattern.split(' ')
    return {method, segments: path.split('/'), handler}
  })

  return (stream, headers) => {
    const method = headers[':method'] ?? 'GET'
    const url = new URL(headers[':path'] ?? '/', 'http://link')
    const answer = async () => {
      const found = match(routes, method, url.pathname)
      if (!found) throw new CallProblem(404, 'unknown_route', `The agent knows no ${method} ${url.pathname}.`)
      await found.handler(createCall(stream, headers, url.searchParams, found.params))
      if (!stream.headersSent && !stream.closed) throw new Error('The handler ended without an answer.')
    }
    answer().catch(error => {
      if (!(error instanceof CallProblem)) onError?.(error, `${method} ${url.pathname}`)
      fail(stream, error)
    })
  }
}

function match(routes: Route[], method: string, path: string) {
  const segments = path.split('/')
  for (const route of routes) {
    if (route.method !== method || route.segments.length !== segments.length) continue
    const params: Record<string, string> = {}
    const fits = route.segments.every((wanted, index) => {
      const given = segments[index] ?? ''
      if (!wanted.startsWith(':')) return wanted === given
      params[wanted.slice(1)] = decode(given)
      return given !== ''
    })
    if (fits) return {handler: route.handler, params}
  }
  return undefined
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new CallProblem(400, 'bad_path', 'The path is not well encoded.')
  }
}

function createCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  query: URLSearchParams,
  params: Record<string, string>,
): AgentCall {
  return {
    params,
    query,
    headers,
    stream,
    readJson: (maxBytes = 1024 * 1024) => readJson(stream, maxBytes),
    respondJson: (status, value) => respondJson(stream, status, value),
    respondStream(status, contentType) {
      if (!stream.closed && !stream.headersSent) stream.respond({':status': status, 'content-type': contentType})
      return stream
    },
    onClose(fn) {
      if (stream.closed || stream.destroyed) fn()
      else stream.once('close', fn)
    },
  }
}

async function readJson(stream: ServerHttp2Stream, maxBytes: number): Promise<unknown> {
  const pieces: Buffer[] = []
  let bytes = 0
  // not `for await`: leaving it early would destroy the stream, and with it the way to say why
  await new Promise<void>((resolve, reject) => {
    stream.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes <= maxBytes) pieces.push(piece)
      else reject(new CallProblem(413, 'too_large', `The body is larger than ${maxBytes} bytes.`))
    })
    stream.once('end', resolve)
    stream.once('close', () => reject(new CallProblem(400, 'cut', 'The body ended early.')))
  })
  if (stream.aborted) throw new CallProblem(400, 'cut', 'The body ended early.')
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'))
  } catch {
    throw new CallProblem(400, 'bad_json', 'The body is not JSON.')
  }
}

function respondJson(stream: ServerHttp2Stream, status: number, value: unknown): void {
  if (stream.closed || stream.destroyed || stream.headersSent) return
  const body = Buffer.from(JSON.stringify(value))
  stream.respond({':status': status, 'content-type': 'application/json', 'content-length': body.length})
  stream.end(body)
}

function fail(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.closed || stream.destroyed) return
  if (stream.headersSent) {
    // not `close`: it ends the stream first, and the server would see a whole answer
    stream.destroy(error instanceof Error ? error : new Error(String(error)))
    return
  }
  const {status, code} = error instanceof CallProblem ? error : {status: 500, code: 'internal'}
  respondJson(stream, status, {error: {code, message: error instanceof Error ? error.message : String(error)}})
  stream.resume() // what is left of the body is of no interest, but would hold the stream open
}
