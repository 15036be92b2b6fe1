import {once} from 'node:events'
import {createServer} from 'node:http'
import {type AddressInfo, createServer as listenRaw} from 'node:net'
import fc from 'fast-check'
import {describe, expect, onTestFinished, test} from 'vitest'
import {type Answer, AnswerReader} from '../../../src/client/answer-reader.ts'
import {exchange} from '../../../src/client/exchange.ts'

/** What the reader makes of these bytes, in pieces of that many each, and then the end. */
function read(bytes: Buffer, size = bytes.length, maxBytes = 1_000_000): Answer | undefined {
  const reader = new AnswerReader(maxBytes)
  for (let at = 0; at < bytes.length; at += size) {
    const answer = reader.push(bytes.subarray(at, at + size))
    if (answer) return answer
  }
  return reader.end()
}

const raw = (text: string) => Buffer.from(text, 'latin1')
const json = 'content-type: application/json\r\n'

describe('an answer', () => {
  test.each([
    ['with a length', `HTTP/1.1 200 OK\r\n${json}content-length: 5\r\n\r\n[1,2]rest`, '[1,2]'],
    [
      'in chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=1\r\n[1\r\n03\r\n,2]\r\n0\r\nx: y\r\n\r\n',
      '[1,2]',
    ],
    ['until the end', 'HTTP/1.0 200 OK\r\n\r\n[1,2]', '[1,2]'],
    ['behind another', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', ''],
  ])('%s is read, in whatever pieces it comes', (_, text, body) => {
    for (let size = 1; size <= text.length; size++) {
      expect(read(raw(text), size)).toMatchObject({statusCode: 200, text: body})
    }
  })

  test('without a body needs no length', () => {
    expect(read(raw('HTTP/1.1 204 No Content\r\n\r\n'))).toMatchObject({statusCode: 204, text: ''})
  })

  test.each([
    ['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1,2]'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[1,2]\r\n'],
    ['HTTP/1.1 200 OK\r\ncontent-le'],
    [''],
  ])('that is cut is none: %j', text => {
    expect(read(raw(text))).toBeUndefined()
  })

  test.each([
    ['SSH-2.0-OpenSSH_9.2\r\n\r\n', 'does not begin as one'],
    ['HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', 'length is no number'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 'two lengths'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n', 'transfer-encoding is gzip'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 'no size'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n', 'longer than its size'],
    ['HTTP/1.1 200 OK\r\n: x\r\n\r\n', 'no header'],
    [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`, 'head is too long'],
  ])('that is none is refused: %j', (text, why) => {
    expect(() => read(raw(text))).toThrow(why)
  })

  test.each([
    [`HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n`],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n'],
    ['HTTP/1.1 200 OK\r\n\r\n01234567890'],
  ])('that is too long is refused before it is read: %j', text => {
    expect(() => read(raw(text), 1, 10)).toThrow(RangeError)
  })

  test('of any bytes in any pieces is read, refused or cut, and nothing else', () => {
    const part = fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      'content-length: 3\r\n',
      'transfer-encoding: chunked\r\n',
      '\r\n',
      '3',
      'abc',
    )
    const text = fc.array(fc.oneof(part, fc.string()), {maxLength: 12}).map(parts => raw(parts.join('')))
    fc.assert(
      fc.property(text, fc.integer({min: 1, max: 50}), (bytes, size) => {
        const attempt = (pieces: number) => {
          try {
            return read(bytes, pieces)?.text
          } catch (error) {
            return (error as Error).message
          }
        }
        expect(attempt(size)).toEqual(attempt(bytes.length || 1))
      }),
      {numRuns: 3_000},
    )
  })
})

describe('an exchange', () => {
  const message = {method: 'POST', path: '/x?y=1', headers: {accept: 'a/b'}, body: '{"ä":1}', timeoutMs: 5_000}

  async function nodeServer(chunked: boolean) {
    const server = createServer(async (request, response) => {
      const pieces: Buffer[] = []
      for await (const piece of request) pieces.push(piece as Buffer)
      const body = JSON.stringify({...request.headers, url: request.url, body: Buffer.concat(pieces).toString()})
      if (!chunked) response.setHeader('content-length', Buffer.byteLength(body))
      response.write(body.slice(0, 9))
      response.end(body.slice(9))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test.each([true, false])("with Node's own server is understood on both sides (chunked: %s)", async chunked => {
    const server = await nodeServer(chunked)

    const {statusCode, text} = await exchange({server, token: 't0ken'}, message)

    expect(statusCode).toBe(200)
    expect(JSON.parse(text)).toMatchObject({
      url: '/x?y=1',
      body: '{"ä":1}',
      host: new URL(server).host,
      accept: 'a/b',
      authorization: 'Bearer t0ken',
      connection: 'close',
      'content-type': 'application/json',
    })
  })

  test.each([
    ['ends without an answer', (socket: {end: () => void}) => socket.end(), 'the connection was cut'],
    ['is silent', () => {}, 'did not answer in time'],
    [
      'is no web server',
      (socket: {write: (text: string) => void}) => socket.write('220 mail\r\n\r\n'),
      'does not speak HTTP',
    ],
  ])('with a server that %s fails with the reason', async (_, act, why) => {
    const server = listenRaw(socket => {
      socket.on('error', () => {})
      socket.resume()
      act(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const {port} = server.address() as AddressInfo

    const call = exchange({server: `http://127.0.0.1:${port}`}, {...message, timeoutMs: 300})

    await expect(call).rejects.toThrow(why)
  })

  test('that is broken off ends with the reason of that', async () => {
    const server = listenRaw(socket => void socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const stop = new AbortController()
    server.once('connection', () => stop.abort(new Error('enough')))
    const {port} = server.address() as AddressInfo

    await expect(exchange({server: `http://127.0.0.1:${port}`}, {...message, signal: stop.signal})).rejects.toThrow(
      'enough',
    )
  })

  test('puts nothing into its head that would end a line', async () => {
    const call = async (token: string) => exchange({server: 'http://127.0.0.1:1', token}, message)

    await expect(call('a\r\nx: y')).rejects.toThrow('no header may hold')
  })
})
