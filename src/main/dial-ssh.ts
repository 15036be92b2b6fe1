import {once} from 'node:events'
import {connect} from 'node:net'
import type {ByteStream} from '../domain/ports.ts'
import type {SshDoor} from '../domain/session.ts'

/** Our own ways to an address that stands for all of them. */
const loopback: Record<string, string> = {'0.0.0.0': '127.0.0.1', '::': '::1'}

/** A connection to the jump host of this process. Rejects with Node's error. */
export async function dialSsh({host, port}: SshDoor): Promise<ByteStream> {
  const socket = connect({host: loopback[host] ?? host, port, noDelay: true, allowHalfOpen: true})
  await once(socket, 'connect')
  socket.on('error', () => {}) // seen by the reader
  return {
    output: socket,
    write: bytes =>
      new Promise((resolve, reject) => {
        socket.write(bytes, error => (error ? reject(error) : resolve()))
      }),
    end: () => void socket.end(),
    close: () => void socket.destroy(),
  }
}
