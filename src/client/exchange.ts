import {connect} from 'node:net'
import {type Answer, AnswerReader} from './answer-reader.ts'
import {UnreachableError} from './api-error.ts'
import {cutOff, type Message, maxAnswerBytes, silence, type Target} from './message.ts'

/**
 * Sends a JSON call to an http:// server on a connection of its own and resolves with the whole answer. Loading and starting
 * `node:http` takes 4 ms of CPU, a tenth of a whole command, for what these calls do not use; bytes, events and https go
 * through transport.ts. Throws UnreachableError, or RangeError when the answer is too long.
 */
export function exchange(target: Target, message: Message): Promise<Answer> {
  const {hostname, port, host} = new URL(target.server)
  const request = encode(host, target, message)
  const reader = new AnswerReader(maxAnswerBytes)
  return new Promise((resolve, reject) => {
    const socket = connect({host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 80})
    const {signal} = message
    const end = (): void => {
      signal?.removeEventListener('abort', abort)
      socket.destroy()
    }
    const fail = (error: Error): void => {
      end()
      if (signal?.aborted) reject(signal.reason)
      else reject(error instanceof RangeError ? error : new UnreachableError(target.server, error))
    }
    const take = (read: () => Answer | undefined): boolean => {
      try {
        const answer = read()
        if (!answer) return false
        end()
        resolve(answer)
      } catch (error) {
        fail(error as Error)
      }
      return true
    }
    const abort = () => fail(cutOff())
    signal?.addEventListener('abort', abort, {once: true})
    socket.setTimeout(message.timeoutMs, () => fail(silence()))
    socket.on('data', piece => take(() => reader.push(piece)))
    socket.on('end', () => take(() => reader.end()) || fail(cutOff()))
    socket.on('error', fail)
    socket.write(request)
    if (signal?.aborted) abort()
  })
}

function encode(host: string, {token}: Target, {method, path, headers, body}: Message): string {
  const all: Record<string, string> = {host, connection: 'close', ...headers}
  if (token !== undefined) all.authorization = `Bearer ${token}`
  if (body !== undefined) {
    all['content-type'] = 'application/json'
    all['content-length'] = String(Buffer.byteLength(body))
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  const head = [`${method} ${path} HTTP/1.1`, ...lines]
  if (head.some(line => /[^\t -~]/.test(line))) throw new TypeError('A header holds what no header may hold.')
  return `${head.join('\r\n')}\r\n\r\n${body ?? ''}`
}
