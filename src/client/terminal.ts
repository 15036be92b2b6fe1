import type {IncomingMessage} from 'node:http'
import type {WebSocket} from 'ws'
import {type Frame, FrameReader, maxFrameBytes} from '../contract/frames.ts'
import {readFailure, UnreachableError} from './api-error.ts'
import type {Target} from './message.ts'
import {changedCertificate, readText} from './transport.ts'

/** A command's input and output on one WebSocket. */
export interface Terminal {
  /** What comes, until the socket is closed. Throws UnreachableError when it is cut. */
  frames: AsyncIterable<Frame>
  /** Resolves when the socket has taken it. */
  send: (frame: Uint8Array) => Promise<void>
  close: () => void
}

const handshakeMs = 30_000
/** Frames that may wait for the reader; then the socket is no longer read. */
const maxWaiting = 64

/** Opens the socket. Throws ApiError when the server refuses, UnreachableError when it does not answer. */
export async function openTerminal(options: {path: string; target: Target; userAgent: string}): Promise<Terminal> {
  const {WebSocket} = await import('ws')
  const {path, target, userAgent} = options
  const url = new URL(path, target.server.replace(/^http/, 'ws'))
  const tls = url.protocol === 'wss:' ? await import('./tls.ts') : undefined
  const {proxy} = target
  const agent = proxy && (await (await import('./proxy.ts')).proxyAgent(proxy, url, 'tunnel'))
  let shown = (): string | undefined => undefined
  const failed = (error: Error) => new UnreachableError(target.server, error, changedCertificate(target, shown()))
  const socket = new WebSocket(url, {
    headers: {'user-agent': userAgent, ...(target.token ? {authorization: `Bearer ${target.token}`} : {})},
    ...tls?.tlsOptions(target),
    agent,
    finishRequest: request => {
      if (tls) {
        request.once('socket', one => {
          shown = tls.watchCertificate(one)
        })
      }
      request.end()
    },
    perMessageDeflate: false,
    maxPayload: maxFrameBytes + 1024,
    handshakeTimeout: handshakeMs,
  })
  const frames = readSocket(socket, target)
  await opened(socket, {target, failed})
  return {
    frames,
    send: frame => new Promise((resolve, reject) => socket.send(frame, error => (error ? reject(error) : resolve()))),
    close: () => socket.close(1000),
  }
}

interface Opening {
  target: Target
  /** What it means that there is no connection. */
  failed: (error: Error) => UnreachableError
}

function opened(socket: WebSocket, {target, failed}: Opening): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('error', error => reject(failed(error)))
    socket.once('unexpected-response', async (request, answer: IncomingMessage) => {
      reject(readFailure(answer.statusCode ?? 0, await readText(target, answer).catch(() => ''), answer.headers))
      request.destroy()
    })
  })
}

/** Listens from now on, since the first frame may come in the same packet as the answer to the handshake. */
function readSocket(socket: WebSocket, target: Target): AsyncGenerator<Frame> {
  const waiting: Frame[] = []
  const reader = new FrameReader()
  let closed: {error?: Error} | undefined
  let wake = () => {}
  const end = (error?: Error) => {
    closed ??= {error}
    wake()
  }
  socket.on('message', (message: Buffer) => {
    try {
      waiting.push(...reader.read(message))
    } catch (error) {
      end(error as Error)
      return socket.terminate()
    }
    if (waiting.length > maxWaiting) socket.pause()
    wake()
  })
  socket.on('error', error => end(new UnreachableError(target.server, error)))
  socket.on('close', (code, reason) => {
    const cut = Object.assign(new Error(reason.toString() || `closed with ${code}`), {code: 'ECONNRESET'})
    end(code === 1000 ? undefined : new UnreachableError(target.server, cut))
  })
  return take()

  async function* take(): AsyncGenerator<Frame> {
    for (;;) {
      const frame = waiting.shift()
      if (frame) yield frame
      else if (closed?.error) throw closed.error
      else if (closed) return
      else {
        if (socket.isPaused) socket.resume()
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
    }
  }
}
