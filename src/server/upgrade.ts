import {type IncomingMessage, ServerResponse} from 'node:http'
import type {Socket} from 'node:net'

interface Waiting {
  socket: Socket
  head: Buffer
  response: ServerResponse
  /** Tells the request's end when the socket ends. */
  over: () => void
}

/**
 * Requests that ask to leave HTTP (terminals, agent links) go through the same routes, checks and failures as all
 * others; a route that agrees takes the socket, any other answer is sent and ends the connection.
 */
export class Upgrades {
  readonly #waiting = new WeakMap<IncomingMessage, Waiting>()
  readonly #taken = new Set<Socket>()

  /** Listener for a server's `upgrade` event. */
  dispatch(
    route: (request: IncomingMessage, response: ServerResponse) => void,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
  ): void {
    socket.on('error', () => socket.destroy())
    if (request.method !== 'GET') {
      // A body behind an upgrade is not read by Node's parser; a reader that waited for it would wait for ever.
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    const over = () => response.emit('close')
    socket.once('close', over)
    response.once('finish', () => {
      socket.off('close', over)
      socket.end(over)
    })
    this.#waiting.set(request, {socket, head, response, over})
    route(request, response)
  }

  /** Gives the socket to the caller, once; undefined when the request did not ask for `protocol`. */
  take(request: IncomingMessage, protocol: string): {socket: Socket; head: Buffer} | undefined {
    const waiting = this.#waiting.get(request)
    if (!waiting || request.headers.upgrade?.toLowerCase() !== protocol) return undefined
    const {socket, head, response, over} = waiting
    this.#waiting.delete(request)
    response.statusCode = 101
    response.removeAllListeners('finish')
    response.detachSocket(socket)
    // The socket may live for months: it must not keep the request alive.
    socket.off('close', over)
    response.emit('close')
    this.#taken.add(socket)
    socket.once('close', () => this.#taken.delete(socket))
    return {socket, head}
  }

  wants(request: IncomingMessage, protocol: string): boolean {
    return this.#waiting.has(request) && request.headers.upgrade?.toLowerCase() === protocol
  }

  /** Ends what was upgraded and is still there. */
  destroyAll(): void {
    for (const socket of this.#taken) socket.destroy()
  }
}
