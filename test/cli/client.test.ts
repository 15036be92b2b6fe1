import {expect, test} from 'vitest'
import {seeObject} from '../../src/cli/waitable.ts'
import {Client} from '../../src/client/client.ts'
import {followEvents} from '../../src/client/events.ts'
import {encodeControl, encodeFrame, frameKind} from '../../src/contract/frames.ts'
import {nativeServer, Refusal, sendEvents} from './native-server.ts'

const clientOf = (server: string) => new Client({userAgent: 'test', target: async () => ({server, token: 'secret'})})

test('an input goes where its route wants it: path, query, body; the token in the header only', async () => {
  const {url, asked} = await nativeServer({
    'POST /nodes/a%2Fb/cordon': {name: 'a'},
    'GET /events': [],
    'DELETE /nodes/n1': {done: true},
    'POST /claims': {name: 'c'},
  })
  const client = clientOf(url)
  await client.call('nodes.cordon', {id: 'a/b', reason: 'fans'})
  await client.call('events.list', {limit: 3, kind: undefined})
  await client.call('nodes.delete', {id: 'n1', confirm: 'n1'})
  await client.call('claims.submit', {image: 'x'})

  expect(asked.map(({path}) => path)).toEqual([
    '/nodes/a%2Fb/cordon',
    '/events?limit=3',
    '/nodes/n1?confirm=n1',
    '/claims',
  ])
  expect(asked[0]).toMatchObject({body: {reason: 'fans'}, headers: {authorization: 'Bearer secret'}})
  expect(asked[3]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/)
})

test('a GET is repeated when the connection is cut, a POST without a key is not, one with a key keeps it', async () => {
  let cuts = 0
  const cutOnce = (body: unknown) => (_: unknown, response: import('node:http').ServerResponse) => {
    if (cuts++ % 2 === 0) response.destroy()
    else response.end(JSON.stringify(body))
  }
  const {url, asked} = await nativeServer({
    'GET /nodes': cutOnce([]),
    'POST /claims': cutOnce({name: 'c'}),
    'POST /nodes/reject': cutOnce({done: true}),
  })
  const client = clientOf(url)

  expect(await client.call('nodes.list', {})).toEqual([])
  expect(await client.call('claims.submit', {image: 'x'})).toEqual({name: 'c'})
  await expect(client.call('nodes.reject', {node: 'n'})).rejects.toMatchObject({code: 'server_unreachable'})

  const keys = asked.filter(({path}) => path === '/claims').map(({headers}) => headers['idempotency-key'])
  expect(keys).toHaveLength(2)
  expect(new Set(keys).size).toBe(1)
})

test('an answer that is not ours is said to be so', async () => {
  const page = (status: number, type: string) => (_: unknown, response: import('node:http').ServerResponse) =>
    response.writeHead(status, {'content-type': type}).end('<html>Sign in to the WLAN of the hotel</html>')
  const {url} = await nativeServer({
    'GET /nodes': page(404, 'text/plain'),
    'GET /specs': page(200, 'text/html; charset=utf-8'),
    'GET /users': page(200, 'application/json'),
    'GET /events/stream': page(200, 'text/html'),
    'GET /claims/x': page(404, 'text/html'),
  })
  const client = clientOf(url)
  const notOurs = (status: number) => ({code: 'not_gpuctl', status})
  await expect(client.call('nodes.list', {})).rejects.toMatchObject(notOurs(404))
  await expect(client.call('specs.list', {})).rejects.toMatchObject(notOurs(200))
  await expect(client.call('users.list', {})).rejects.toMatchObject(notOurs(200))
  await expect(client.events('events.stream', {}).next()).rejects.toMatchObject(notOurs(200))
  await expect(client.open({method: 'GET', path: '/gpuctl/v1/specs'})).rejects.toMatchObject(notOurs(200))
  const gone = {kind: 'claim', name: 'x', wish: {state: 'deleted'}} as const
  await expect(seeObject(client, gone, AbortSignal.timeout(10_000))).rejects.toMatchObject(notOurs(404))
})

test('a silence as long as was said is the end of a call, one that is read too', async () => {
  const {url, asked} = await nativeServer({'GET /nodes': () => undefined})
  const client = new Client({userAgent: 'test', target: async () => ({server: url}), timeoutMs: 50})

  await expect(client.call('nodes.list', {})).rejects.toMatchObject({code: 'server_silent'})
  expect(asked).toHaveLength(1)
})

test('https:// to a server without TLS says that, and nothing of certificates', async () => {
  const {url} = await nativeServer({})
  await expect(clientOf(url.replace('http:', 'https:')).call('nodes.list', {})).rejects.toMatchObject({
    code: 'tls_failed',
    message: expect.stringContaining('speaks no TLS'),
    hint: expect.stringContaining('http://'),
  })
})

test('an event stream goes on behind the last event after a cut, and ends with `end`', async () => {
  let visits = 0
  const {url, asked} = await nativeServer({
    'GET /events/stream': (_: unknown, response: import('node:http').ServerResponse) => {
      visits++
      if (visits === 1) {
        sendEvents(response, [
          {id: 'b-1', data: 1},
          {id: 'b-2', data: 2},
        ])
        setImmediate(() => response.destroy())
      } else
        sendEvents(response, [
          {id: 'b-3', data: 3},
          {event: 'end', data: {}},
        ])
    },
  })
  const seen: unknown[] = []
  for await (const {event, data} of clientOf(url).events('events.stream', {})) seen.push([event, data])

  expect(seen).toEqual([
    ['message', 1],
    ['message', 2],
    ['message', 3],
    ['end', {}],
  ])
  expect(asked.map(({headers}) => headers['last-event-id'])).toEqual([undefined, 'b-2'])
  expect(asked[1]?.headers.authorization).toBe('Bearer secret')
})

test('a connection that falls silent is given up and made anew', async () => {
  let visits = 0
  const {url} = await nativeServer({
    'GET /events/stream': (_: unknown, response: import('node:http').ServerResponse) => {
      visits++
      sendEvents(response, visits === 1 ? [{id: 'b-1', data: 1}] : [{event: 'end', data: {}}])
    },
  })
  const names: string[] = []
  for await (const {event} of followEvents({client: clientOf(url), path: '/gpuctl/v1/events/stream', silenceMs: 100}))
    names.push(event)

  expect(names).toEqual(['message', 'end'])
  expect(visits).toBe(2)
})

test('a stream that is refused fails with the server’s words; a failure inside it too', async () => {
  const {url} = await nativeServer({
    'GET /instances/x/stats': new Refusal(404, 'not_found', 'There is no instance x.'),
    'GET /instances/y/stats': (_: unknown, response: import('node:http').ServerResponse) =>
      sendEvents(response, [{event: 'failure', data: new Refusal(502, 'node_failed', 'The node burns.').body}]),
  })
  const read = async (id: string) => {
    for await (const _ of clientOf(url).events('instances.stats', {id}));
  }
  await expect(read('x')).rejects.toMatchObject({code: 'not_found', status: 404})
  await expect(read('y')).rejects.toMatchObject({code: 'node_failed'})
})

test('an abort ends a stream without a failure', async () => {
  const {url} = await nativeServer({
    'GET /events/stream': (_: unknown, response: import('node:http').ServerResponse) =>
      sendEvents(response, [{id: '1', data: 1}]),
  })
  const stop = new AbortController()
  const seen: unknown[] = []
  for await (const {data} of clientOf(url).events('events.stream', {}, {signal: stop.signal})) {
    seen.push(data)
    stop.abort()
  }
  expect(seen).toEqual([1])
})

test('a byte stream comes as its frames, however it is cut into pieces', async () => {
  const whole = Buffer.concat([
    encodeFrame(frameKind.stdout, Buffer.from('out')),
    encodeFrame(frameKind.stderr, Buffer.from('err')),
    encodeControl({dropped: 3}),
  ])
  const {url} = await nativeServer({
    'GET /instances/x/logs': (_: unknown, response: import('node:http').ServerResponse) => {
      for (const byte of whole) response.write(Buffer.of(byte))
      response.end()
    },
  })
  const seen: string[] = []
  for await (const {kind, payload} of clientOf(url).bytes('instances.logs', {id: 'x'}))
    seen.push(`${kind} ${Buffer.from(payload)}`)

  expect(seen).toEqual(['1 out', '2 err', '3 {"dropped":3}'])
})
