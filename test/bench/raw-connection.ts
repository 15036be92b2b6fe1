import {connect, type Socket} from 'node:net'

interface Pending {
  resolve: (status: number) => void
  reject: (error: Error) => void
}

const headEnd = Buffer.from('\r\n\r\n')

/**
 * One HTTP/1.1 connection that stays open and carries ready-made requests one after the other, as cheaply as Node can:
 * the load must not be the slower half of what is measured. Reads answers with Content-Length; throws on others.
 */
export class RawConnection {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #pending: Pending | undefined
  /** Body of the last answer. */
  lastBody: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', piece => this.#take(piece))
    socket.on('error', error => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('The server closed the connection.')))
  }

  static open(port: number, from?: string): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({host: '127.0.0.1', port, localAddress: from})
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RawConnection(socket))
      })
    })
  }

  /** Resolves with the status when the answer is whole. One at a time. */
  send(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('The connection is closed.'))
      this.#pending = {resolve, reject}
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(piece: Buffer): void {
    this.#received = this.#received.length === 0 ? piece : Buffer.concat([this.#received, piece])
    const at = this.#received.indexOf(headEnd)
    if (at < 0) return
    const head = this.#received.toString('latin1', 0, at)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (length === undefined) {
      this.#fail(new Error(`An answer without Content-Length: ${head}`))
      return
    }
    const end = at + 4 + Number(length)
    if (this.#received.length < end) return
    this.lastBody = this.#received.subarray(at + 4, end)
    this.#received = this.#received.subarray(end)
    const pending = this.#pending
    this.#pending = undefined
    pending?.resolve(Number(head.slice(9, 12)))
  }

  #fail(error: Error): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.reject(error)
    this.#socket.destroy()
  }
}

/** A whole POST with a JSON body, as bytes. */
export function rawPost(
  port: number,
  path: string,
  token: string,
  body: unknown,
  headers: Record<string, string> = {},
): Buffer {
  const text = JSON.stringify(body)
  const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n${extra.join('')}` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
}
