import {once} from 'node:events'
import {createServer, type IncomingMessage} from 'node:http'
import type {AddressInfo} from 'node:net'
import {setTimeout as delay} from 'node:timers/promises'
import {expect, onTestFinished, test} from 'vitest'
import {JoinRefused, join} from '../../../src/agent/join.ts'
import {joinTransport} from '../../../src/main/join-transport.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {eventually} from '../../support/wait.ts'

interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
}

type Answer = (seen: Seen) => {status: number; body: unknown}

const reply = (code: string) => ({
  status: 201,
  body: {requestId: 'r', number: 1, code, pollSecret: `secret-of-${code}`, expiresAt: '2026-01-01', pollAfterMs: 1_000},
})
const pending = {status: 200, body: {status: 'pending', nodeId: null, name: null, nodeKey: null, serverId: null}}
const admitted = {status: 200, body: {status: 'active', nodeId: 'n1', name: 'one', nodeKey: 'key', serverId: 's1'}}

/** A server that answers by a function, and an agent that joins it on a clock that runs a hundred times as fast. */
async function scene(answer: Answer, {port = 0}: {port?: number} = {}) {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    const {method = '', url = '', headers} = request
    seen.push({method, url, headers, body})
    const {status, body: value} = answer({method, url, headers, body})
    response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(value))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {seen, server, url, ...(await start(url))}
}

async function start(url: string) {
  const clock = new ManualClock()
  const stop = new AbortController()
  const codes: string[] = []
  const waits: string[] = []
  const joined = join(
    url,
    {hostname: 'gpu-one', joinToken: 'token'},
    {
      transport: await joinTransport(url, stop.signal),
      clock,
      signal: stop.signal,
      progress: {code: code => void codes.push(code), waiting: reason => void waits.push(reason)},
    },
  )
  joined.catch(() => {})
  let isOver = false
  const ticking = (async () => {
    while (!isOver) {
      await delay(5)
      clock.advance(500)
    }
  })()
  onTestFinished(async () => {
    isOver = true
    stop.abort()
    await ticking
  })
  return {clock, stop, codes, waits, joined}
}

test('an agent shows its code, polls, and gets its key', async () => {
  let polls = 0
  const {joined, codes, seen, url} = await scene(({method}) =>
    method === 'POST' ? reply('ABCDE') : ++polls < 3 ? pending : admitted,
  )

  expect(await joined).toEqual({server: url, serverId: 's1', nodeId: 'n1', name: 'one', nodeKey: 'key'})
  expect(codes).toEqual(['ABCDE'])
  expect(JSON.parse(seen[0]?.body ?? '')).toEqual({hostname: 'gpu-one', joinToken: 'token'})
})

test('the poll secret is sent in its header and nowhere else', async () => {
  const {joined, seen} = await scene(({method}) => (method === 'POST' ? reply('ABCDE') : admitted))
  await joined

  const [, poll] = seen
  expect(poll?.headers['x-join-secret']).toBe('secret-of-ABCDE')
  const {'x-join-secret': _, ...otherHeaders} = poll?.headers ?? {}
  expect(JSON.stringify([poll?.url, poll?.body, otherHeaders])).not.toContain('secret-of')
})

test('a code that ran out is replaced by a new one', async () => {
  let asked = 0
  const {joined, codes} = await scene(({method, url}) => {
    if (method === 'POST') return reply(++asked === 1 ? 'FIRST' : 'SECND')
    return url.endsWith('/FIRST') ? {status: 404, body: {error: {message: 'unknown'}}} : admitted
  })

  await joined
  expect(codes).toEqual(['FIRST', 'SECND'])
})

test('a code that is refused is not asked for anew at once', async () => {
  const {clock, codes, stop} = await scene(({method}) => (method === 'POST' ? reply('AGAIN') : {status: 404, body: {}}))
  await eventually(() => codes.length >= 4)
  stop.abort()

  expect(clock.monotonic()).toBeGreaterThan(3 * 5_000)
})

test('a server that fails for a while is waited for with the same code', async () => {
  let polls = 0
  const {joined, codes, waits} = await scene(({method}) => {
    if (method === 'POST') return reply('ABCDE')
    return ++polls < 3 ? {status: 503, body: {}} : admitted
  })

  await joined
  expect(codes).toEqual(['ABCDE'])
  expect(waits.length).toBeGreaterThan(0)
})

test('a server that is away is waited for', async () => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  const {port} = blocker.address() as AddressInfo
  await new Promise(resolve => blocker.close(resolve))
  const {joined, waits} = await start(`http://127.0.0.1:${port}`)
  await eventually(() => waits.length >= 2)
  expect(waits[0]).toContain('ECONNREFUSED')

  await scene(({method}) => (method === 'POST' ? reply('ABCDE') : admitted), {port})
  expect(await joined).toMatchObject({nodeKey: 'key'})
})

test('a server that says no ends the attempt with its words', async () => {
  const {joined} = await scene(() => ({
    status: 403,
    body: {error: {code: 'x', message: 'The join token has expired.', hint: 'Ask for a new one.'}},
  }))

  await expect(joined).rejects.toThrow(JoinRefused)
  await expect(joined).rejects.toThrow('The join token has expired. Ask for a new one.')
})

test('an agent that is stopped while it waits stops', async () => {
  const {joined, codes, stop} = await scene(({method}) => (method === 'POST' ? reply('ABCDE') : pending))
  await eventually(() => codes.length === 1)
  stop.abort(new Error('stopping'))

  await expect(joined).rejects.toThrow()
})
