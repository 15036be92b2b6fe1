import {request as httpRequest, type IncomingMessage} from 'node:http'
import {type IncomingHttpHeaders, performServerHandshake, type ServerHttp2Stream} from 'node:http2'
import {request as httpsRequest} from 'node:https'
import {Socket} from 'node:net'
import type {Duplex} from 'node:stream'
import type {ConnectionOptions} from 'node:tls'
import {systemClock} from '../platform/clock.ts'
import {LinkError, LinkRefused} from './link-error.ts'
import {LINK_PROTOCOL, type LinkTiming, sessionOptions, watchSession, widenWindow} from './session.ts'

/** Answers one stream that the server opened. Its errors are listened to already. */
export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** The agent's end of a link. */
export interface Link {
  /** Why it ended; never rejects. */
  readonly closed: Promise<string>
  close(reason?: string): void
  /** Round trip, ms. Rejects with `LinkError`. */
  ping(): Promise<number>
}

export interface OpenLinkOptions extends LinkTiming {
  /** `http(s)://host:port/gpuctl/v1/link` */
  url: string
  token: string
  headers?: Record<string, string>
  /** PEM certificates to trust instead of the system's. */
  ca?: string | Buffer
  tls?: Pick<ConnectionOptions, 'servername' | 'checkServerIdentity' | 'rejectUnauthorized'>
  handler: StreamHandler
  /** Ends the attempt, or the link. */
  signal?: AbortSignal
  /** For the whole way to the 101; default 10 s. */
  connectTimeoutMs?: number
}

const MAX_REFUSAL_BYTES = 4 * 1024

/**
 * Dials the server, asks for the upgrade and then answers the server's calls. Rejects with `LinkRefused` when the server
 * says no, with `LinkError` when the attempt takes too long or is aborted, and with Node's own error when it cannot connect.
 */
export async function openLink(options: OpenLinkOptions): Promise<Link> {
  const {signal} = options
  const {socket, head} = await upgrade(options)
  if (head.length > 0) socket.unshift(head)
  const link = serveLink(socket, options.handler, options)
  const onAbort = () => link.close('the agent is stopping')
  signal?.addEventListener('abort', onAbort, {once: true})
  void link.closed.then(() => signal?.removeEventListener('abort', onAbort))
  if (signal?.aborted) onAbort()
  return link
}

/** Becomes the HTTP/2 server over a connection that is already there. */
export function serveLink(socket: Duplex, handler: StreamHandler, timing: LinkTiming = {}): Link {
  if (socket instanceof Socket) socket.setNoDelay(true).setTimeout(0)
  const session = performServerHandshake(socket, sessionOptions)
  session.setMaxListeners(0)
  widenWindow(session)
  session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {}) // a stream's end is the handler's to see ('close'), never the process's
    handler(stream, headers)
  })
  const {closed, close, ping} = watchSession(session, socket, timing)
  return {closed, ping, close: (reason = 'closed by the agent') => close(reason)}
}

function upgrade(options: OpenLinkOptions): Promise<{socket: Duplex; head: Buffer}> {
  const {url, token, headers, ca, tls, signal, clock = systemClock, connectTimeoutMs = 10_000} = options
  const target = new URL(url)
  return new Promise((resolve, reject) => {
    const start = target.protocol === 'https:' ? httpsRequest : httpRequest
    const request = start(target, {
      agent: false, // the connection is ours for good, so no pool may know it
      headers: {...headers, authorization: `Bearer ${token}`, connection: 'Upgrade', upgrade: LINK_PROTOCOL},
      ...(target.protocol === 'https:' ? {ca, ...tls} : {}),
    })
    const timer = clock.setTimeout(
      () => fail(new LinkError('timeout', `${target.host} did not answer within ${connectTimeoutMs} ms.`)),
      connectTimeoutMs,
    )
    const settle = () => {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const fail = (error: Error) => {
      settle()
      reject(error)
      request.destroy()
    }
    const onAbort = () => fail(new LinkError('aborted', 'The attempt to open the link was aborted.'))
    signal?.addEventListener('abort', onAbort, {once: true})
    if (signal?.aborted) return onAbort()

    request.on('error', fail)
    request.on('response', response => {
      readRefusal(response).then(
        body => fail(new LinkRefused(response.statusCode ?? 0, body)),
        error => fail(error),
      )
    })
    request.on('upgrade', (response, socket, head) => {
      if (response.statusCode === 101 && response.headers.upgrade === LINK_PROTOCOL) {
        settle()
        return resolve({socket, head})
      }
      socket.destroy()
      fail(new LinkRefused(response.statusCode ?? 0, 'The server switched to another protocol.'))
    })
    request.end()
  })
}

async function readRefusal(response: IncomingMessage): Promise<string> {
  let body = Buffer.alloc(0)
  for await (const piece of response) {
    body = Buffer.concat([body, piece])
    if (body.length >= MAX_REFUSAL_BYTES) break
  }
  return body.subarray(0, MAX_REFUSAL_BYTES).toString('utf8')
}
