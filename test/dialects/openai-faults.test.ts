import type {AddressInfo} from 'node:net'
import {connect, createServer, type Socket} from 'node:net'
import {describe, expect, onTestFinished, test} from 'vitest'
import type {Model} from '../../src/contract/schemas/models.ts'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {chat, chatPath, gate, inferenceWorld, keyFor, model, runtimeThat} from '../support/inference-world.ts'
import {beatRuntime, registerRuntime, standInRuntime} from '../support/stand-in-runtime.ts'
import {eventually} from '../support/wait.ts'

const inFlight = async (plane: ControlPlane) =>
  /^gpuctl_inference_in_flight (\d+)$/m.exec((await plane.call('GET', '/metrics')).text)?.[1]
const excludedAt = async (plane: ControlPlane) =>
  (await plane.ok<Model>('models.get', {id: model}, {token: plane.adminToken})).runtimes.map(({excluded}) => excluded)

describe('W1.6-4: a runtime that fails before its answer begins', () => {
  test('lets another one answer, once; the one that cuts the connection is asked again later', async () => {
    const {plane, client, runtimes} = await inferenceWorld([{}, {}])
    const [one, other] = runtimes
    one?.fail('reset')
    other?.fail('reset')

    const failed = await client.chat.completions.create(chat).catch(error => error)
    expect([failed.status, failed.type]).toEqual([502, 'bad_gateway'])
    expect(runtimes.map(runtime => runtime.faultsLeft())).toEqual([0, 0])
    expect(runtimes.map(runtime => runtime.asked().length)).toEqual([1, 1])
    one?.fail('reset')
    other?.fail('reset')
    await client.chat.completions.create(chat).catch(() => undefined)
    other?.fail()
    expect(await excludedAt(plane)).toEqual([false, false])
    expect((await client.chat.completions.create(chat)).choices).toHaveLength(1)
  })

  test('and cannot be reached: another one answers, and it is not asked for that model until it registers again', async () => {
    const {plane, client, runtimes} = await inferenceWorld([{}, {}])
    await runtimes[0]?.stop()

    for (const _ of [1, 2, 3]) expect((await client.chat.completions.create(chat)).choices).toHaveLength(1)
    expect(runtimes[1]?.asked()).toHaveLength(3)
    expect(await excludedAt(plane)).toEqual([true, false])
    await runtimes[1]?.stop()
    const failed = await client.chat.completions.create(chat).catch(error => error)
    expect([failed.status, failed.type]).toEqual([502, 'bad_gateway'])
    const nobody = await client.chat.completions.create(chat).catch(error => error)
    expect([nobody.status, nobody.code]).toEqual([503, 'no_capable_nodes'])
  })

  test('and speaks something else than HTTP is not asked for that model again', async () => {
    const {plane, client} = await inferenceWorld([])
    const list = JSON.stringify({data: [{id: model}]})
    let calls = 0
    const port = await tcpServer(socket =>
      socket.once('data', head => {
        if (String(head).startsWith('GET '))
          socket.end(
            `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${list.length}\r\n\r\n${list}`,
          )
        else {
          calls += 1
          socket.end('SSH-2.0-OpenSSH_9.6\r\n')
        }
      }),
    )
    await registerRuntime(plane, {host: '127.0.0.1', port: port - 1})

    const failed = await client.chat.completions.create(chat).catch(error => error)
    expect([failed.status, calls]).toEqual([502, 1])
    expect(await excludedAt(plane)).toEqual([true])
  })

  test('and is silent too long is 504, and nobody else is asked', async () => {
    const {plane, client, runtimes} = await inferenceWorld([{}], {inference: {headMs: 1_000}})
    const never = gate()
    const silent = await runtimeThat(request => request.resume() && never.opened)
    await plane.call(
      'DELETE',
      `/v0/nodes/${(await plane.call('GET', '/v0/nodes', {token: plane.adminToken})).json[0].id}`,
      {token: plane.adminToken},
    )
    await registerRuntime(plane, silent, {machineName: 'silent'})

    const failed = await client.chat.completions.create(chat).catch(error => error)
    expect([failed.status, failed.type]).toEqual([504, 'timeout'])
    expect(runtimes[0]?.asked()).toHaveLength(0)
  })
})

describe('W1.6-4: what a runtime refuses', () => {
  test.each([
    [400, '{"error":{"message":"too long for the context"}}', 'too long for the context'],
    [422, '{"error":"no such voice"}', 'no such voice'],
    [500, '<h1>Internal error</h1>', 'The runtime refused the request (HTTP 500).'],
    [503, '', 'The runtime refused the request (HTTP 503).'],
  ])('with %i has the same status, and nobody else is asked', async (status, body, message) => {
    const {plane, key, runtimes} = await inferenceWorld([{}, {}])
    for (const one of runtimes) one.fail({status, body})

    const reply = await plane.call('POST', chatPath, {body: chat, token: key})
    expect([reply.status, reply.json]).toEqual([status, {error: {message, type: 'node_upstream_error', code: status}}])
    expect(runtimes.flatMap(one => one.asked())).toHaveLength(1)
  })

  test('T6: a redirect leads nowhere', async () => {
    const {plane, key, runtime} = await inferenceWorld()
    let canary = 0
    const elsewhere = await runtimeThat((_, response) => {
      canary += 1
      response.end()
    })
    runtime.fail({status: 307, headers: {location: `http://127.0.0.1:${elsewhere.port + 1}/secret`}})

    const reply = await plane.call('POST', chatPath, {body: chat, token: key})
    expect([reply.status, canary, reply.headers.location]).toEqual([502, 0, undefined])
    expect(runtime.faultsLeft()).toBe(0)
  })
})

test('T6: an address that was admitted once and may not be dialled any more is not dialled', async () => {
  const plane = await controlPlane()
  const {key} = await keyFor(plane)
  // Listens wherever this machine is called, at 0.0.0.0 too, which no server may be made to dial.
  const runtime = await standInRuntime({host: '0.0.0.0'})
  const registered = await registerRuntime(plane, {...runtime, host: '127.0.0.1'})
  const ask = () => plane.call('POST', chatPath, {body: chat, token: key})
  expect((await ask()).status).toBe(200)
  await fetch(`http://0.0.0.0:${runtime.port + 1}/v1/models`)
  const reached = runtime.seen.length

  await plane.whileStopped(async store => {
    const record = (await store.runtimes.find(registered.id))!
    await store.transaction(tx => tx.runtimes.save({...record, address: '0.0.0.0'}))
  })
  expect(await beatRuntime(plane, registered)).toBe(200)
  const reply = await ask()
  expect([reply.status, reply.json]).toMatchObject([502, {error: {type: 'bad_gateway'}}])
  expect(runtime.seen).toHaveLength(reached)
})

test('a stream that breaks off at the runtime breaks off here, and is not begun again elsewhere', async () => {
  const plane = await controlPlane()
  const seen = gate()
  let calls = 0
  for (const machineName of ['one', 'other']) {
    const breaking = await runtimeThat(async (_, response) => {
      calls += 1
      response.writeHead(200, {'content-type': 'text/event-stream'})
      response.write('data: {"choices":[{"index":0,"delta":{"content":"first"}}]}\n\n')
      await seen.opened
      response.destroy()
    })
    await registerRuntime(plane, breaking, {machineName})
  }
  const {client} = await keyFor(plane)

  const stream = await client.chat.completions.create({...chat, stream: true})
  const read = async () => {
    for await (const _ of stream) seen.open()
  }
  await expect(read()).rejects.toThrow()
  expect(calls).toBe(1)
})

test('T33: when the caller goes away, the runtime’s work ends, and its turn is free', async () => {
  const {client, runtime, plane} = await inferenceWorld([{pieces: 10_000, pieceMs: 5}])

  const stream = await client.chat.completions.create({...chat, stream: true})
  for await (const _ of stream) break
  await eventually(() => runtime.asked()[0]?.wasCut === true, {withinMs: 5_000, what: 'the end of the work'})
  const {text} = await plane.call('GET', '/metrics')
  expect(text).toMatch(/^gpuctl_inference_in_flight 0$/m)
  expect((await client.chat.completions.create(chat)).choices).toHaveLength(1)
})

test('T33: a caller who goes away from an answer that he does not read frees its turn', async () => {
  const plane = await controlPlane()
  const size = 64 * 1024 * 1024
  const generous = await runtimeThat((_, response) => {
    response.writeHead(200, {'content-type': 'application/json', 'content-length': size})
    response.end(Buffer.alloc(size, ' '))
  })
  await registerRuntime(plane, generous)
  const {key} = await keyFor(plane)

  const socket = ask(plane, key)
  await new Promise(resolve => socket.once('readable', resolve))
  expect(await inFlight(plane)).toBe('1')
  socket.destroy()
  await eventually(async () => (await inFlight(plane)) === '0', {withinMs: 10_000, what: 'the end of the call'})
})

test('T32 T33: a caller who stays and reads nothing is cut off, and frees its turn', async () => {
  const plane = await controlPlane({inference: {unreadMs: 300}})
  const piece = Buffer.alloc(64 * 1024, 'x')
  const generous = await runtimeThat((_, response) => {
    response.writeHead(200, {'content-type': 'text/event-stream'})
    const more = () => {
      while (!response.destroyed) if (!response.write(piece)) return void response.once('drain', more)
    }
    more()
  })
  await registerRuntime(plane, generous)
  const {key} = await keyFor(plane)

  const socket = ask(plane, key)
  await new Promise(resolve => socket.once('readable', resolve))
  await eventually(async () => (await inFlight(plane)) === '0', {withinMs: 20_000, what: 'the end of the call'})
})

test('a caller who reads slowly makes the runtime wait, not the server’s memory grow', async () => {
  const plane = await controlPlane()
  const piece = Buffer.alloc(64 * 1024, 'x')
  let sent = 0
  const generous = await runtimeThat((_, response) => {
    response.writeHead(200, {'content-type': 'text/event-stream'})
    const more = () => {
      while (sent < 256 * 1024 * 1024) {
        sent += piece.length
        if (!response.write(piece)) return void response.once('drain', more)
      }
      response.end()
    }
    more()
  })
  await registerRuntime(plane, generous)
  const {key} = await keyFor(plane)
  const socket = ask(plane, key)
  await new Promise(resolve => socket.once('readable', resolve))
  let before = -1
  await eventually(
    () => {
      const isStill = sent === before
      before = sent
      return isStill
    },
    {withinMs: 10_000, what: 'a runtime that waits'},
  )
  expect(sent).toBeLessThan(64 * 1024 * 1024)
})

/** A call whose answer the test reads by itself. */
function ask(plane: ControlPlane, key: string): Socket {
  const socket = connect(Number(new URL(plane.url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const body = JSON.stringify(chat)
  const head = `POST ${chatPath} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}`
  socket.write(`${head}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  return socket
}

async function tcpServer(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    onConnection(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}
