import {once} from 'node:events'
import {connect} from 'node:net'
import {text} from 'node:stream/consumers'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import WebSocket from 'ws'
import {encodeControl, encodeFrame, FrameReader, frameKind} from '../../../src/contract/frames.ts'
import {problem} from '../../../src/domain/errors.ts'
import type {ExecStream} from '../../../src/domain/ports.ts'
import {eventually} from '../../support/wait.ts'
import {nodeKey, readOnlyToken, startWorld, tokens, type World} from './fixture.ts'

const path = '/gpuctl/v1/instances/web/exec?command=sh&command=-c&command=cat&tty=true'
let world: World
let running: Echo[]

beforeEach(async () => {
  world = await startWorld({settings: {pingMs: 50}})
  running = []
  serve(async input => {
    const echo = new Echo(input)
    running.push(echo)
    return echo
  })
})
afterEach(() => world.stop())

function serve(openExec: (input: unknown) => Promise<ExecStream>): void {
  Object.assign(world.services.instances, {openExec})
}

/** A command that answers what it is told, and ends with code 7 when its input ends. */
class Echo implements ExecStream {
  closed = false
  readonly #pieces: Uint8Array[] = []
  #wake = () => {}

  constructor(readonly input: unknown) {}

  async write(frame: Uint8Array): Promise<void> {
    for (const {kind, payload} of new FrameReader().read(frame)) {
      if (kind === frameKind.stdin) this.#pieces.push(encodeFrame(frameKind.stdout, payload))
      else this.#pieces.push(encodeControl({exit: {code: 7, reason: ''}}), new Uint8Array(0))
    }
    this.#wake()
  }

  close(): void {
    this.closed = true
    this.#wake()
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#read()
  }

  async *#read() {
    while (!this.closed) {
      const piece = this.#pieces.shift()
      if (piece?.length === 0) return
      if (piece) yield piece
      else
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
    }
  }
}

function dial(headers: Record<string, string> = {}, target = path): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${world.port}${target}`, {
    headers: {authorization: `Bearer ${tokens.user}`, ...headers},
    perMessageDeflate: false,
  })
  socket.on('error', () => {})
  return socket
}

/** Status and error code with which a WebSocket was refused. */
async function refusal(socket: WebSocket): Promise<[number | undefined, string]> {
  const [, response] = await once(socket, 'unexpected-response')
  const {error} = JSON.parse(await text(response)) as {error: {code: string}}
  return [response.statusCode, error.code]
}

async function closing(socket: WebSocket): Promise<[number, string]> {
  const [code, reason] = await once(socket, 'close')
  return [code, String(reason)]
}

describe('T22: a terminal', () => {
  test('carries frames both ways and closes when the command ends', async () => {
    const socket = dial()
    const frames: string[] = []
    const reader = new FrameReader()
    socket.on('message', (bytes: Buffer) => {
      for (const {kind, payload} of reader.read(bytes)) frames.push(`${kind} ${Buffer.from(payload)}`)
    })
    await once(socket, 'open')
    socket.send(encodeFrame(frameKind.stdin, Buffer.from('hello')))
    socket.send(encodeControl({eof: true}))

    expect(await closing(socket)).toEqual([1000, ''])
    expect(frames).toEqual(['1 hello', '3 {"exit":{"code":7,"reason":""}}'])
    expect(running[0]?.input).toEqual({id: 'web', command: ['sh', '-c', 'cat'], tty: true})
    await eventually(() => running[0]?.closed && world.app.front.streams.size === 0)
  })

  test('is refused with a plain answer before the upgrade', async () => {
    expect(await refusal(dial({authorization: ''}))).toEqual([401, 'login_required'])
    expect(await refusal(dial({authorization: `Bearer ${tokens.viewer}`}))).toEqual([403, 'role_too_low'])
    expect(await refusal(dial({authorization: `Bearer ${readOnlyToken}`}))).toEqual([403, 'scope_missing'])
    expect(await refusal(dial({host: 'evil.test'}))).toEqual([421, 'host_refused'])
    expect(await refusal(dial({origin: 'https://evil.test'}))).toEqual([403, 'origin_refused'])
    expect(await refusal(dial({}, '/gpuctl/v1/instances/web/exec'))).toEqual([400, 'input_invalid'])
    expect(await refusal(dial({}, '/gpuctl/v1/nothing'))).toEqual([404, 'route_unknown'])
    serve(async () => {
      throw problem('instance_not_running', {name: 'web', status: 'exited'})
    })
    expect(await refusal(dial())).toEqual([409, 'instance_not_running'])
    expect((await world.call(path, {token: tokens.user})).json.error.code).toBe('input_invalid')
    expect(running).toEqual([])
  })

  test.each([
    ['text', 'hello', 1003],
    ['what is not a frame', Buffer.from('not a frame at all'), 1002],
    ['output from the client', encodeFrame(frameKind.stdout, Buffer.from('x')), 1002],
    ['more than 1 MiB', Buffer.alloc(1024 * 1024 + 1), 1009],
  ])('%s closes it', async (_, message, code) => {
    const socket = dial()
    await once(socket, 'open')
    socket.send(message)

    expect((await closing(socket))[0]).toBe(code)
    await eventually(() => running[0]?.closed)
  })

  test('a command that breaks off says why', async () => {
    serve(async input =>
      Object.assign(new Echo(input), {
        write: async () => {
          throw new Error('secret')
        },
      }),
    )
    const socket = dial()
    await once(socket, 'open')
    socket.send(encodeFrame(frameKind.stdin, Buffer.from('x')))

    expect(await closing(socket)).toEqual([1011, 'input failed'])
  })

  test('five for each user, then 429; a client that goes away frees its place', async () => {
    const five = Array.from({length: 5}, () => dial())
    await Promise.all(five.map(socket => once(socket, 'open')))

    expect(await refusal(dial())).toEqual([429, 'too_many'])
    five[0]?.terminate()
    await eventually(() => world.app.front.streams.size === 4)
    await once(dial(), 'open')
  })

  test('ends when its token is revoked, and when the server stops', async () => {
    const socket = dial()
    const other = dial({authorization: `Bearer ${tokens.super_admin}`})
    await Promise.all([once(socket, 'open'), once(other, 'open')])
    const first = closing(socket)
    world.revoked.add(tokens.user)
    world.emit('Revoked', 'token', 't-user')
    expect(await first).toEqual([4401, 'revoked'])

    const second = closing(other)
    await world.stop()
    expect(await second).toEqual([1001, 'stopping'])
  })

  test('is pinged, and ended when no answer comes', async () => {
    const alive = dial()
    await once(alive, 'ping')
    const dead = connect(world.port, '127.0.0.1')
    const key = 'dGhlIHNhbXBsZSBub25jZQ=='
    const head = `Host: localhost\r\nAuthorization: Bearer ${tokens.user}\r\nConnection: Upgrade\r\nUpgrade: websocket`
    dead.write(`GET ${path} HTTP/1.1\r\n${head}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`)
    dead.resume()
    await once(dead, 'close')

    expect(alive.readyState).toBe(WebSocket.OPEN)
  })
})

describe('an agent’s link', () => {
  async function ask(headers: string): Promise<string> {
    const socket = connect(world.port, '127.0.0.1')
    socket.write(`GET /gpuctl/v1/link HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n${headers}\r\n\r\n`)
    return text(socket)
  }

  test('gets the socket when the node shows its key', async () => {
    expect(await ask(`Upgrade: gpuctl-link\r\nAuthorization: Bearer ${nodeKey}`)).toMatch(
      /^HTTP\/1.1 101.*welcome node-1$/s,
    )
  })

  test.each([
    ['no key', 'Upgrade: gpuctl-link', '401', 'login_required'],
    ['a foreign key', 'Upgrade: gpuctl-link\r\nAuthorization: Bearer other', '401', 'token_invalid'],
    ['a user’s token', `Upgrade: gpuctl-link\r\nAuthorization: Bearer ${tokens.super_admin}`, '401', 'token_invalid'],
    ['another protocol', `Upgrade: websocket\r\nAuthorization: Bearer ${nodeKey}`, '400', 'input_invalid'],
  ])('%s is refused and the connection ends', async (_, headers, status, code) => {
    const answer = await ask(headers)

    expect(answer.slice(9, 12)).toBe(status)
    expect(answer).toContain(`"code":"${code}"`)
  })
})
