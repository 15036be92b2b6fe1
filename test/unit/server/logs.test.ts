import {once} from 'node:events'
import {connect} from 'node:net'
import {afterEach, beforeEach, expect, test} from 'vitest'
import {encodeFrame, FrameReader, frameKind} from '../../../src/contract/frames.ts'
import {problem} from '../../../src/domain/errors.ts'
import type {Services} from '../../../src/domain/services/services.ts'
import {eventually} from '../../support/wait.ts'
import {startWorld, tokens, type World} from './fixture.ts'

const target = '/gpuctl/v1/instances/web/logs?tail=10&stderr=false'
let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

function serve(openLogs: Services['instances']['openLogs']): void {
  Object.assign(world.services.instances, {openLogs})
}

test('the output so far comes as frames, byte for byte', async () => {
  let asked: unknown
  serve(async input => {
    asked = input
    return (async function* () {
      yield encodeFrame(frameKind.stdout, Buffer.from('one\n'))
      yield encodeFrame(frameKind.stderr, Buffer.from('two\n'))
    })()
  })

  const reply = await world.call(target, {token: tokens.viewer})

  const frames = [...new FrameReader().read(Buffer.from(reply.text))].map(({kind, payload}) => `${kind} ${payload}`)
  expect(reply.headers['content-type']).toBe('application/vnd.gpuctl.frames')
  expect(frames).toEqual(['1 one\n', '2 two\n'])
  expect(asked).toEqual({id: 'web', tail: 10, stderr: false})
})

test('what is refused before the first byte is a plain failure', async () => {
  serve(async () => {
    throw problem('node_offline', {name: 'gpu-1'})
  })

  const reply = await world.call(target, {token: tokens.viewer})

  expect([reply.status, reply.json.error.code]).toEqual([503, 'node_offline'])
})

test('a source that breaks off midway breaks the answer off, so that nobody takes it for whole', async () => {
  serve(async () =>
    (async function* () {
      yield encodeFrame(frameKind.stdout, Buffer.from('one\n'))
      throw new Error('link lost')
    })(),
  )

  await expect(world.call(target, {token: tokens.viewer})).rejects.toThrow()
})

test('a reader that does not read pauses the source; its going away aborts it', async () => {
  let sent = 0
  let aborted = false
  serve(async (_, __, signal) => {
    signal.addEventListener('abort', () => {
      aborted = true
    })
    return (async function* () {
      for (; !signal.aborted; sent += 65_536) yield Buffer.alloc(65_536)
    })()
  })
  const socket = connect(world.port, '127.0.0.1')
  socket.pause()
  await once(socket, 'connect')
  socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.viewer}\r\n\r\n`)

  let before = -1
  await eventually(
    () => {
      const paused = before === sent && sent > 0
      before = sent
      return paused
    },
    {everyMs: 100},
  )
  expect(sent).toBeLessThan(32 * 1024 * 1024)
  socket.destroy()
  await eventually(() => aborted)
})
