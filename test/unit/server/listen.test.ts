import {execFile} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {Agent, request} from 'node:http'
import {request as tlsRequest} from 'node:https'
import {connect} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {promisify} from 'node:util'
import {afterEach, expect, test} from 'vitest'
import {close, listen} from '../../../src/server/listen.ts'
import {eventually} from '../../support/wait.ts'
import {EventReader} from './event-reader.ts'
import {startWorld, tokens, type World} from './fixture.ts'

let world: World
afterEach(() => world.stop())

test('one app listens at several addresses, each on a free port, and knows itself by them', async () => {
  world = await startWorld()
  const [one, two] = await listen(world.app, [
    {host: '127.0.0.1', port: 0},
    {host: '127.0.0.2', port: 0},
  ])

  expect(one?.port).not.toBe(two?.port)
  const asked = request({host: '127.0.0.2', port: two?.port, path: '/healthz'}).end()
  const [response] = await once(asked, 'response')
  expect([response.statusCode, await text(response)]).toEqual([200, '{"status":"ok"}'])
})

test('an address that is taken is an error, and nothing stays open', async () => {
  world = await startWorld()
  const {port} = world

  await expect(
    listen(world.app, [
      {host: '127.0.0.1', port: 0},
      {host: '127.0.0.1', port},
    ]),
  ).rejects.toMatchObject({
    code: 'EADDRINUSE',
  })
  expect((await world.call('/healthz')).status).toBe(200)
})

test('it speaks TLS with the given certificate', async () => {
  world = await startWorld()
  const folder = await mkdtemp(join(tmpdir(), 'gpuctl-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '2']
  await promisify(execFile)('openssl', [...made, '-keyout', key, '-out', cert])
  const tls = {key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8')}
  await rm(folder, {recursive: true})
  const [bound] = await listen(world.app, [{host: '127.0.0.1', port: 0}], tls)

  const asked = tlsRequest({host: 'localhost', port: bound?.port, path: '/healthz', ca: tls.cert}).end()
  const [response] = await once(asked, 'response')
  expect(response.statusCode).toBe(200)
})

test('F22: stopping answers what is in flight, ends streams cleanly and closes kept connections', async () => {
  world = await startWorld()
  let finish = () => {}
  world.answers.set('claims.list', async () => {
    await new Promise<void>(resolve => {
      finish = resolve
    })
    return []
  })
  const reader = await EventReader.open(world.port, '/gpuctl/v1/events/stream', {
    authorization: `Bearer ${tokens.user}`,
  })
  const agent = new Agent({keepAlive: true})
  const headers = {authorization: `Bearer ${tokens.user}`}
  const asked = request({host: '127.0.0.1', port: world.port, path: '/gpuctl/v1/claims', agent, headers}).end()
  const answered = once(asked, 'response')
  await eventually(() => world.calls.length > 0)

  const stopped = close(world.app, {graceMs: 5000})
  await reader.end()
  await expect(world.call('/healthz')).rejects.toMatchObject({code: 'ECONNREFUSED'})
  finish()

  const [response] = await answered
  expect([response.statusCode, response.headers.connection, await text(response)]).toEqual([200, 'close', '[]'])
  await stopped
  expect(reader.response.complete).toBe(true)
})

test('F22: what does not finish in its grace is cut, and a second call cuts at once', async () => {
  world = await startWorld()
  world.answers.set('claims.list', () => new Promise(() => {}))
  const hanging = () => world.call('/gpuctl/v1/claims', {token: tokens.user}).catch((error: Error) => error)
  const first = hanging()
  await eventually(() => world.calls.length > 0)

  const stopped = close(world.app, {graceMs: 60_000})
  await close(world.app)

  await stopped
  expect(await first).toBeInstanceOf(Error)
})

test('a connection that is silent does not keep the server from stopping', async () => {
  world = await startWorld()
  const socket = connect(world.port, '127.0.0.1')
  await once(socket, 'connect')

  await close(world.app, {graceMs: 50})
  expect([...world.app.front.servers].map(({listening}) => listening)).toEqual([false])
})
