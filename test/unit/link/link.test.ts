import {once} from 'node:events'
import {createServer, type Server} from 'node:http'
import {createServer as createTlsServer} from 'node:https'
import type {AddressInfo, Socket} from 'node:net'
import {Readable} from 'node:stream'
import {setImmediate as turn} from 'node:timers/promises'
import {afterEach, describe, expect, test} from 'vitest'
import {openLink} from '../../../src/link/agent-end.ts'
import {linkPair} from '../../../src/link/in-process.ts'
import {LinkRefused} from '../../../src/link/link-error.ts'
import {type AgentHandler, CallProblem, createAgentRouter} from '../../../src/link/routes.ts'
import {acceptLink, type ServerLink} from '../../../src/link/server-end.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {type Certificates, makeCertificates} from '../../support/certs.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

const MIB = 1024 * 1024
const cleanUp: (() => unknown)[] = []

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

/** How the uploads to `/count` ended, oldest first. */
const uploads: string[] = []

const routes: Record<string, AgentHandler> = {
  'GET /things/:id': ({params, query, respondJson}) => respondJson(200, {id: params.id, tail: query.get('tail')}),
  'PUT /size': async call => call.respondJson(200, {bytes: JSON.stringify(await call.readJson(32 * MIB)).length}),
  'PUT /small': async call => call.respondJson(200, await call.readJson(100)),
  'GET /json/:bytes': ({params, respondJson}) => respondJson(200, 'x'.repeat(Number(params.bytes))),
  'GET /bulk/:mib': async ({params, respondStream}) => {
    const output = respondStream(200, 'application/octet-stream')
    const piece = Buffer.alloc(MIB, 7)
    for (let sent = 0; sent < Number(params.mib); sent++) if (!output.write(piece)) await once(output, 'drain')
    output.end()
  },
  'POST /count': async call => {
    let bytes = 0
    try {
      for await (const piece of call.stream as AsyncIterable<Buffer>) bytes += piece.length
      uploads.push('whole')
    } catch {
      uploads.push('failed')
    }
    call.respondJson(200, {bytes})
  },
  'POST /echo': ({respondStream, stream}) => void stream.pipe(respondStream(200, 'application/octet-stream')),
  'GET /begin': ({respondStream}) => void respondStream(200, 'text/plain').write('half'),
  'GET /never': () => new Promise(() => {}),
  'GET /mute': () => {},
  'GET /throw': () => {
    throw new Error('out of paper')
  },
  'GET /problem': () => {
    throw new CallProblem(409, 'taken', 'It is taken.')
  },
  'GET /throw-late': async ({respondStream}) => {
    respondStream(200, 'text/plain').write('half')
    await turn()
    throw new Error('too late')
  },
}

interface Pair {
  link: ServerLink
  /** Ends the connection as a killed process does. */
  cut(): void
}

async function overSockets(certificates?: Certificates): Promise<Pair> {
  const {url, accepted} = await listen(certificates)
  const agent = await openLink({url, token: 'right', ca: certificates?.ca, handler: createAgentRouter(routes)})
  const {link, socket} = await accepted
  cleanUp.push(() => agent.close())
  return {link, cut: () => socket.destroy()}
}

async function overTls(): Promise<Pair> {
  return overSockets(await makeCertificates(await temporaryDirectory()))
}

async function inProcess(): Promise<Pair> {
  const link = linkPair(createAgentRouter(routes))
  cleanUp.push(() => link.close())
  return {link, cut: () => link.close('cut')}
}

async function listen(
  certificates?: Certificates,
): Promise<{server: Server; url: string; accepted: Promise<{link: ServerLink; socket: Socket}>}> {
  const server = certificates ? createTlsServer(certificates.server) : createServer()
  const accepted = new Promise<{link: ServerLink; socket: Socket}>(resolve => {
    server.on('upgrade', (request, socket, head) => {
      if (request.headers.authorization !== 'Bearer right') {
        return void socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 9\r\nconnection: close\r\n\r\nNo entry.')
      }
      void acceptLink(socket, head).then(link => {
        cleanUp.push(() => link.close())
        resolve({link, socket: socket as Socket})
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUp.push(() => server.close())
  const scheme = certificates ? 'https' : 'http'
  return {server, url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/gpuctl/v1/link`, accepted}
}

describe.each([
  ['over sockets', () => overSockets()],
  ['over TLS', overTls],
  ['in one process', inProcess],
])('a link %s', (_, connect) => {
  test('carries a call with parameters and query', async () => {
    const {link} = await connect()

    expect(await link.json({path: '/things/a%2Fb?tail=5'})).toEqual({id: 'a/b', tail: '5'})
  })

  test('carries large bodies both ways', async () => {
    const {link} = await connect()
    const text = 'x'.repeat(6 * MIB)

    expect(await link.json({method: 'PUT', path: '/size', body: [text]})).toEqual({bytes: text.length + 4})
    expect(await link.json<string>({path: `/json/${text.length}`})).toHaveLength(text.length)
  })

  test('refuses an answer that is larger than the bound', async () => {
    const {link} = await connect()

    await expect(link.json({path: `/json/${9 * MIB}`})).rejects.toMatchObject({name: 'LinkError', code: 'too_big'})
    await expect(link.json({method: 'PUT', path: '/small', body: ['x'.repeat(MIB)]})).rejects.toMatchObject({
      status: 413,
    })
  })

  test('answers 2,000 calls at once', async () => {
    const {link} = await connect()

    const answers = await Promise.all(
      Array.from({length: 2_000}, (_, index) => link.json<{id: string}>({path: `/things/${index}`})),
    )

    expect(answers.map(({id}) => Number(id))).toEqual(Array.from({length: 2_000}, (_, index) => index))
  })

  test('carries 256 MB whole while a ping beside it stays quick', async () => {
    const {link} = await connect()
    const {body} = await link.open('/bulk/256')
    const roundTripsMs: number[] = []
    let bytes = 0

    for await (const piece of body as AsyncIterable<Buffer>) {
      if (Math.floor(bytes / (32 * MIB)) !== Math.floor((bytes + piece.length) / (32 * MIB)))
        void link.ping().then(ms => roundTripsMs.push(ms))
      bytes += piece.length
    }
    await link.ping()

    expect(bytes).toBe(256 * MIB)
    expect(roundTripsMs.length).toBeGreaterThanOrEqual(7)
    expect(Math.max(...roundTripsMs)).toBeLessThan(300) // a queue behind the bulk would be seconds; the machine may be busy
  })

  test('carries an upload stream', async () => {
    const {link} = await connect()
    const body = Readable.from(Array.from({length: 64}, () => Buffer.alloc(MIB)))

    expect(await link.json({method: 'POST', path: '/count', body})).toEqual({bytes: 64 * MIB})
  })

  test('an upload that breaks is not taken for a whole one', async () => {
    const {link} = await connect()
    const broken = async function* () {
      yield Buffer.alloc(MIB)
      throw new Error('disk gone')
    }

    const call = link.json({method: 'POST', path: '/count', body: Readable.from(broken())})

    await expect(call).rejects.toMatchObject({code: 'stream_reset'})
    await expect.poll(() => uploads.at(-1)).toBe('failed')
    expect(await link.json({path: '/things/1'})).toMatchObject({id: '1'})
  })

  test('keeps both directions of a duplex open until the input ends', async () => {
    const {link} = await connect()
    const call = await link.duplex({path: '/echo'})
    const output = call.output[Symbol.asyncIterator]()

    await call.write(Buffer.from('one'))
    expect(String((await output.next()).value)).toBe('one')
    await call.write(Buffer.from('two'))
    expect(String((await output.next()).value)).toBe('two')
    call.endInput()
    expect((await output.next()).done).toBe(true)
    await expect(call.write(Buffer.from('three'))).rejects.toMatchObject({name: 'LinkError'})
  })

  test.each([
    ['/nowhere', 404, 'unknown_route'],
    ['/things/%ff', 400, 'bad_path'],
    ['/throw', 500, 'internal'],
    ['/mute', 500, 'internal'],
    ['/problem', 409, 'taken'],
  ])('tells the failure of %s', async (path, status, code) => {
    const {link} = await connect()

    await expect(link.json({path})).rejects.toMatchObject({name: 'RemoteError', status, code})
    expect(await link.json({path: '/things/1'})).toMatchObject({id: '1'})
  })

  test('a failure after the answer began resets that stream and nothing else', async () => {
    const {link} = await connect()
    const {body} = await link.open('/throw-late')

    await expect(body.toArray()).rejects.toMatchObject({code: 'stream_reset'})
    expect(await link.json({path: '/things/1'})).toMatchObject({id: '1'})
  })

  test('a call times out and can be aborted, before and in its answer', async () => {
    const {link} = await connect()
    const before = new AbortController()
    const within = new AbortController()

    await expect(link.json({path: '/never', timeoutMs: 20})).rejects.toMatchObject({code: 'timeout'})
    await expect(link.json({path: '/begin', timeoutMs: 20})).rejects.toMatchObject({code: 'timeout'})
    const aborted = link.request({path: '/never', signal: before.signal})
    before.abort()
    await expect(aborted).rejects.toMatchObject({code: 'aborted'})
    const {body} = await link.open('/begin', {signal: within.signal})
    within.abort()
    await expect(body.toArray()).rejects.toMatchObject({code: 'aborted'})
    expect(await link.json({path: '/things/1'})).toMatchObject({id: '1'})
  })

  test('a cut fails all calls in flight, in words, and those that come later', async () => {
    const {link, cut} = await connect()
    const {body} = await link.open('/begin')
    const half = body.toArray()
    half.catch(() => {})
    const waiting = Array.from({length: 1_100}, () => link.json({path: '/never'}))
    for (const call of waiting) call.catch(() => {})
    await link.ping()

    const beginMs = performance.now()
    cut()
    const results = await Promise.allSettled([half, ...waiting])

    expect(performance.now() - beginMs).toBeLessThan(1_000)
    const codes = results.map(result => (result.status === 'rejected' ? result.reason.code : 'answered'))
    expect(new Set(codes)).toEqual(new Set(['link_down']))
    await link.closed
    await expect(link.json({path: '/things/1'})).rejects.toMatchObject({code: 'link_down'})
    await expect(link.ping()).rejects.toMatchObject({code: 'link_down'})
  })

  test('long streams leave room for short calls, and give it back', async () => {
    const {link} = await connect()
    const opened = await Promise.all(Array.from({length: 800}, () => link.open('/begin')))

    await expect(link.open('/begin')).rejects.toMatchObject({code: 'busy'})
    expect(await link.json({path: '/things/1'})).toMatchObject({id: '1'})

    for (const {body} of opened) body.destroy()
    await expect
      .poll(() =>
        link.open('/begin').then(
          ({status}) => status,
          () => 0,
        ),
      )
      .toBe(200)
  })
})

test('a wrong token is refused with status and words', async () => {
  const {url} = await listen()

  await expect(openLink({url, token: 'wrong', handler: () => {}})).rejects.toMatchObject({
    name: 'LinkRefused',
    status: 401,
    body: 'No entry.',
  })
})

test('of an error envelope the refusal shows the sentence; other words as they are', () => {
  const body = JSON.stringify({error: {code: 'token_invalid', message: 'The token is not valid here.'}})

  expect(new LinkRefused(401, body).message).toBe(
    'The server refused the link with status 401: The token is not valid here.',
  )
  expect(new LinkRefused(403, 'No entry.').message).toBe('The server refused the link with status 403: No entry.')
})

test('the reason of a close reaches the agent', async () => {
  const {url, accepted} = await listen()
  const agent = await openLink({url, token: 'right', handler: createAgentRouter(routes)})
  const {link} = await accepted
  await link.ping()

  link.close('the node was removed')

  expect(await agent.closed).toBe('the node was removed')
})

test('a server that never answers the upgrade is given up', async () => {
  const clock = new ManualClock()
  const server = createServer()
  const asked = new Promise<void>(resolve => server.on('upgrade', () => resolve()))
  const sockets: Socket[] = []
  server.on('connection', socket => sockets.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUp.push(
    () => server.close(),
    () => sockets.forEach(socket => void socket.destroy()),
  )

  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const opening = openLink({url, token: 'right', clock, handler: () => {}})
  opening.catch(() => {})
  await asked
  clock.advance(10_000)

  await expect(opening).rejects.toMatchObject({code: 'timeout'})
})

test('a peer that went silent without a word is noticed by both ends', async () => {
  const clock = new ManualClock()
  const {server, url} = await listen()
  server.removeAllListeners('upgrade')
  const accepted = new Promise<{link: ServerLink; socket: Socket}>(resolve => {
    server.on(
      'upgrade',
      (_, socket, head) =>
        void acceptLink(socket, head, {clock}).then(link => resolve({link, socket: socket as Socket})),
    )
  })
  const relayed = await relay(url)
  const agent = await openLink({url: relayed.url, token: 'right', clock, handler: createAgentRouter(routes)})
  const {link} = await accepted
  clock.advance(5_000)
  await link.ping()
  await agent.ping()
  expect(link.isClosed).toBe(false)

  relayed.freeze()
  const call = link.json({path: '/things/1', timeoutMs: 60_000})
  call.catch(() => {})
  for (let passedMs = 0; passedMs < 20_000; passedMs += 5_000) clock.advance(5_000)

  expect(await link.closed).toBe('no sign of life for 15000 ms')
  expect(await agent.closed).toBe('no sign of life for 15000 ms')
  await expect(call).rejects.toMatchObject({code: 'link_down'})
})

/** A wire between the two that can go dead without closing. */
async function relay(url: string): Promise<{url: string; freeze(): void}> {
  const {connect, createServer: createTcpServer} = await import('node:net')
  const sockets: Socket[] = []
  const server = createTcpServer(near => {
    const far = connect(Number(new URL(url).port), '127.0.0.1')
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far)
    far.pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUp.push(
    () => server.close(),
    () => sockets.forEach(socket => void socket.destroy()),
  )
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/gpuctl/v1/link`,
    freeze() {
      const [near, far] = sockets
      near?.unpipe(far)
      far?.unpipe(near)
      for (const socket of sockets) socket.pause()
    },
  }
}
