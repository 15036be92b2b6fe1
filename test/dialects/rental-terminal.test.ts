import {once} from 'node:events'
import {describe, expect, onTestFinished, test} from 'vitest'
import WebSocket, {type ClientOptions} from 'ws'
import type {Instance} from '../../src/contract/schemas/instances.ts'
import {simulatedFleet} from '../support/control-plane.ts'
import {eventually} from '../support/wait.ts'
import {rentalPlane} from './rental-plane.ts'

/** Ann has a running instance on a simulated machine, where a shell says what is typed into it. */
async function annsInstance() {
  const plane = await rentalPlane()
  await simulatedFleet(plane.server)
  const {id: annId, password} = await plane.server.user('ann', {gpuQuota: 2})
  const {token} = (await plane.login('ann', password)).json.data as {token: string}
  const {id: bobId, password: bobs} = await plane.server.user('bob', {gpuQuota: 2})
  await plane.server.ok('claims.submit', {name: 'job', image: 'busybox', gpus: {count: 1}}, {token})
  const {number, id: instanceId} = await eventually(async () => {
    const instance = await plane.server.ok<Instance>('instances.get', {id: 'job'}, {token})
    return instance.status === 'running' ? instance : undefined
  })
  const address = (query: string, path = '/instance/terminal') => `${plane.url.replace('http', 'ws')}${path}?${query}`
  return {...plane, token, annId, bobId, password, bobs, number, instanceId, address}
}

type Place = Awaited<ReturnType<typeof annsInstance>>

function connect(address: string, options: ClientOptions) {
  const socket = new WebSocket(address, options)
  const heard = {text: [] as string[], bytes: ''}
  socket.on('message', (message, isBinary) => {
    if (isBinary) heard.bytes += message.toString()
    else heard.text.push(message.toString())
  })
  socket.on('error', () => {})
  onTestFinished(() => socket.terminate())
  return {socket, heard}
}

async function terminal({address, number, token}: Place, query = `id=${number}`) {
  const {socket, heard} = connect(address(query), {headers: {'x-token': token}})
  await once(socket, 'open')
  return {socket, heard, closed: once(socket, 'close') as Promise<[number, Buffer]>}
}

/** Status and body of a handshake that is refused. */
async function refusal(address: string, options: ClientOptions = {}): Promise<{status: number; json: unknown}> {
  const {socket} = connect(address, options)
  const [, response] = await once(socket, 'unexpected-response')
  let text = ''
  for await (const piece of response) text += piece
  return {status: response.statusCode, json: JSON.parse(text)}
}

describe('W3.1-21 W3.6: the frames of the terminal', () => {
  test('what is typed comes as input, as raw text or as bytes, and output comes back as bytes', async () => {
    const {socket, heard} = await terminal(await annsInstance())

    socket.send('{"type":"input","data":"ls\\n"}')
    socket.send('plain text\n')
    socket.send('7')
    socket.send(Buffer.from('bytes\n'))
    socket.send('{"type":"resize","cols":120,"rows":40}')
    socket.send('{"no":"message"}\n')

    await eventually(() => heard.bytes === 'ls\nplain text\n7bytes\n{"no":"message"}\n')
    expect(heard.text).toEqual([])
  })

  test('a ping is answered with a pong as text', async () => {
    const {socket, heard} = await terminal(await annsInstance())

    socket.send('{"type":"ping"}')

    await eventually(() => heard.text.length > 0)
    expect(JSON.parse(heard.text[0] as string)).toEqual({type: 'pong'})
  })

  test('T22: a hundred thousand malformed messages end nothing: the shell still answers', async () => {
    const place = await annsInstance()
    const {socket, heard} = await terminal(place)
    const malformed = ['{"type":5}', '{"type":"resize","cols":-1,"rows":"x"}', '{"type":"resize","cols":1e9,"rows":0}']
    malformed.push('{"type":"input","data":{}}', '{"type":"__proto__"}', '{"type":"input"}', '{"type":"\\u0000"}', '')
    for (let count = 0; count < 100_000; count++) socket.send(malformed[count % malformed.length] as string)

    socket.send('still here')

    await eventually(() => heard.bytes === 'still here', {withinMs: 15_000})
    expect((await place.call('GET', '/health')).json).toBe('ok')
  })

  test('T22: a message above 1 MiB and a frame that is none end this terminal alone', async () => {
    const place = await annsInstance()
    const [large, broken, bystander] = [await terminal(place), await terminal(place), await terminal(place)]

    large.socket.send(Buffer.alloc(1024 * 1024 + 1))
    expect((await large.closed)[0]).toBe(1009)
    const raw = (broken.socket as unknown as {_socket: {write(bytes: Buffer): void}})._socket
    raw.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))
    expect((await broken.closed)[0]).toBe(1002)

    bystander.socket.send('here')
    await eventually(() => bystander.heard.bytes === 'here')
  })
})

describe('T22: who may open a terminal', () => {
  test('of 30 origins only the server’s own opens one', async () => {
    const place = await annsInstance()
    const {host, port} = new URL(place.url)
    const foreign = [
      ...['https://evil.test', 'http://evil.test', 'null', 'file://', 'https://localhost', 'http://localhost'],
      ...[`https://evil.test:${port}`, `http://${host}.evil.test`, `http://evil.test/${host}`, `http://evil@${host}.x`],
      ...[`http://127.0.0.2:${port}`, `http://127.0.0.1:${Number(port) + 1}`, 'http://127.0.0.1', `ws://${host}`],
      ...[`http://[::1]:${port}`, `http://0.0.0.0:${port}`, `http://2130706433:${port}`, `http://0x7f000001:${port}`],
      ...[`chrome-extension://${host}`, `moz-extension://${host}`, 'about:blank', `data://${host}`, '*', ' ', '/'],
      ...[`http://${host}/`, `http://user:pass@${host}`, `http:${host}`, `//${host}`],
    ]
    expect(foreign).toHaveLength(29)
    const headers = {'x-token': place.token}
    for (const origin of foreign) {
      const {status, json} = await refusal(place.address(`id=${place.number}`), {headers: {...headers, origin}})
      expect([status, json], origin).toMatchObject([403, {code: 403, data: null}])
    }
    const {socket} = connect(place.address(`id=${place.number}`), {headers: {...headers, origin: place.url}})
    await once(socket, 'open')
  })

  test('T8: a browser opens it with a one-time ticket in ?token=, once; a login token there is worth nothing', async () => {
    const place = await annsInstance()
    const input = {path: '/instance/terminal'}
    const {ticket} = await place.server.ok<{ticket: string}>('auth.streamTicket', input, {token: place.token})
    const withTicket = place.address(`id=${place.number}&token=${ticket}`)
    const {socket, heard} = connect(withTicket, {origin: place.url})
    await once(socket, 'open')
    socket.send('hello')
    await eventually(() => heard.bytes === 'hello')

    expect(await refusal(withTicket)).toMatchObject({status: 401, json: {code: 401}})
    expect(await refusal(place.address(`id=${place.number}&token=${place.token}`))).toMatchObject({status: 401})
    expect(
      await refusal(place.address(`id=${place.number}`), {headers: {cookie: `x-token=${place.token}`}}),
    ).toMatchObject({status: 401})
    expect(place.server.log()).not.toContain(ticket)
    expect(place.server.log()).not.toContain(place.token)
  })

  test('T18: somebody else’s instance looks like one that is not there; an administrator gets in', async () => {
    const place = await annsInstance()
    const {token: bobs} = (await place.login('bob', place.bobs)).json.data

    const foreign = await refusal(place.address(`id=${place.number}`), {headers: {'x-token': bobs}})
    const absent = await refusal(place.address('id=999'), {headers: {'x-token': bobs}})
    expect(foreign).toEqual({status: 404, json: {code: 404, data: null, msg: `There is no instance ${place.number}.`}})
    expect(absent).toEqual({status: 404, json: {code: 404, data: null, msg: 'There is no instance 999.'}})
    await terminal({...place, token: place.adminToken}, `ID=${place.number}&shell=sh`)
  })

  test('T22: ends within a second when its token is revoked, its user disabled, and after a ticket too', async () => {
    const place = await annsInstance()
    const {ticket} = await place.server.ok<{ticket: string}>(
      'auth.streamTicket',
      {path: '/api/v1/instance/terminal'},
      {token: place.token},
    )
    const byTicket = connect(place.address(`id=${place.number}&token=${ticket}`, '/api/v1/instance/terminal'), {})
    await once(byTicket.socket, 'open')
    const other = (await place.login('ann', place.password)).json.data.token as string
    const open = [await terminal(place), await terminal({...place, token: other})] as const
    const ticketClosed = once(byTicket.socket, 'close') as Promise<[number]>

    const revokedAt = Date.now()
    await place.server.ok('auth.logout', {}, {token: place.token})
    expect((await open[0].closed)[0]).toBe(4401)
    expect((await ticketClosed)[0]).toBe(4401)
    expect(Date.now() - revokedAt).toBeLessThan(1_000)
    expect(open[1].socket.readyState).toBe(WebSocket.OPEN)

    const disabledAt = Date.now()
    await place.server.ok('users.update', {id: place.annId, enabled: false}, {token: place.adminToken})
    expect((await open[1].closed)[0]).toBe(4401)
    expect(Date.now() - disabledAt).toBeLessThan(1_000)
  })

  test('a user has five terminals at once; the sixth is told to wait', async () => {
    const place = await annsInstance()
    for (let count = 0; count < 5; count++) await terminal(place)

    const {status, json} = await refusal(place.address(`id=${place.number}`), {headers: {'x-token': place.token}})

    expect([status, json]).toEqual([200, {code: 7, data: null, msg: 'Too many open terminals.'}])
  })

  test('a request that is no WebSocket, and an instance that does not run, are told why', async () => {
    const place = await annsInstance()
    const {token, number} = place
    const plain = await place.call('GET', `/instance/terminal?id=${number}`, {token})
    expect(plain).toMatchObject({status: 200, json: {code: 7, data: null, msg: expect.stringContaining('Upgrade')}})

    await place.server.ok('instances.stop', {id: 'job'}, {token})
    const stopped = await refusal(place.address(`id=${number}`), {headers: {'x-token': token}})
    expect(stopped.json).toMatchObject({code: 7, data: null, msg: expect.stringContaining('not running')})
  })
})
