import {connect} from 'node:net'
import {Readable} from 'node:stream'
import {afterEach, expect, test} from 'vitest'
import type {InferenceRequest} from '../../../src/domain/inference.ts'
import {gate} from '../../support/inference-world.ts'
import {eventually} from '../../support/wait.ts'
import {startWorld, tokens, type World} from './fixture.ts'

const path = '/v1/chat/completions'
let world: World
afterEach(() => world.stop())

/** A server that takes a million bytes together, over a runtime that answers when it is let. */
async function start() {
  const seen: InferenceRequest[] = []
  const held = gate()
  const call = async (request: InferenceRequest) => {
    seen.push(request)
    await held.opened
    const body = Readable.from([Buffer.from('{}')])
    return {status: 200, headers: {'content-type': 'application/json'}, body, queuedMs: undefined}
  }
  world = await startWorld({settings: {maxInferenceBytes: 1_000_000}, inference: {call}})
  const raw = JSON.stringify({model: 'm', input: 'x'.repeat(600_000)})
  const post = () => world.call(path, {method: 'POST', token: tokens.user, raw})
  return {seen, held, post}
}

test('T32: bodies that are in memory together are bounded; what is over makes room again', async () => {
  const {seen, held, post} = await start()
  const first = post()
  await eventually(() => seen.length === 1, {withinMs: 5_000, what: 'the first call'})

  const second = await post()
  expect([second.status, second.json.error.type]).toEqual([429, 'rate_limit_exceeded'])
  held.open()
  expect((await first).status).toBe(200)
  expect((await post()).status).toBe(200)
})

test('T32: a caller who goes away in the middle of a body leaves no bytes behind', async () => {
  const {held, post} = await start()
  held.open()
  for (const _ of [1, 2, 3]) {
    const socket = connect(world.port, '127.0.0.1')
    const head = [`POST ${path} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${tokens.user}`]
    socket.write(
      [...head, 'Content-Type: application/json', 'Content-Length: 900000', '', 'x'.repeat(600_000)].join('\r\n'),
    )
    await new Promise(resolve => socket.once('drain', resolve))
    socket.destroy()
    await new Promise(resolve => socket.once('close', resolve))
  }

  await eventually(async () => (await post()).status === 200, {withinMs: 5_000, what: 'room for a body'})
  await eventually(() => world.log.some(line => line.includes('"status":499')))
  expect(world.log.filter(line => line.includes('request failed'))).toEqual([])
})

test('T32: a compressed body is not unpacked', async () => {
  const {seen} = await start()
  const headers = {'content-encoding': 'gzip'}
  const reply = await world.call(path, {method: 'POST', token: tokens.user, raw: '{"model":"m"}', headers})
  expect([reply.status, seen.length]).toEqual([415, 0])
})
