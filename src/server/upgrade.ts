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
 * Gives the bytes of a request back to its connection without the wish to leave HTTP, which a server may ignore (RFC
 * 9110, 7.8): Node's parser reads no body behind one, and Java's HTTP client sends it with whatever it posts first (h2c).
 */
export function takeBackUpgrade({method, url, httpVersion, rawHeaders}: IncomingMessage, socket: Socket, head: Buffer) {
  const isOfUpgrade = (word: string) => /^(upgrade|http2-settings)$/i.test(word.trim())
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2)
    const isConnection = name.toLowerCase() === 'connection'
    const kept = isConnection ? value.split(',').filter(option => !isOfUpgrade(option)) : [value]
    if (!isOfUpgrade(name) && kept.length > 0) lines.push(`${name}: ${kept.join(',')}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
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
