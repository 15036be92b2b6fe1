import {describe, expect, test} from 'vitest'
import {controlPlane, inParallel} from '../support/control-plane.ts'
import {chat, chatPath, gate, inferenceWorld, keyFor, model, runtimeThat} from '../support/inference-world.ts'
import {registerRuntime} from '../support/stand-in-runtime.ts'
import {eventually} from '../support/wait.ts'

/** A server whose one runtime answers when it is let. */
async function heldWorld(options: Parameters<typeof controlPlane>[0] = {}) {
  const plane = await controlPlane(options)
  const held = gate()
  let asked = 0
  const runtime = await runtimeThat(async (request, response) => {
    asked += 1
    request.resume()
    await held.opened
    response.setHeader('content-type', 'application/json').end('{"choices":[]}')
  })
  await registerRuntime(plane, runtime)
  const {key, client} = await keyFor(plane)
  const post = (token = key) => plane.call('POST', chatPath, {body: chat, token})
  const figure = async (name: string) => {
    const {text} = await plane.call('GET', '/metrics')
    return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1])
  }
  const until = (name: string, wanted: number) =>
    eventually(async () => (await figure(name)) === wanted, {withinMs: 10_000, what: `${name} = ${wanted}`})
  return {plane, held, key, client, post, until, asked: () => asked}
}

describe('W1.6-3: one request at a time at one runtime', () => {
  test('the others wait, and hear that they did', async () => {
    const {post, held, until, asked} = await heldWorld()
    const first = post()
    await until('gpuctl_inference_in_flight', 1)
    const second = post()
    await until('gpuctl_inference_queued', 1)
    expect(asked()).toBe(1)

    held.open()
    expect((await first).headers).not.toHaveProperty('x-queue-status')
    const {status, headers} = await second
    expect([status, headers['x-queue-status']]).toEqual([200, 'queued'])
    expect(Number(headers['x-queue-wait-ms'])).toBeGreaterThan(0)
  })

  test('W1.7: the router’s own summary counts those who wait, those under way and those that are over', async () => {
    const {plane, post, held, until} = await heldWorld()
    const summary = async () => (await plane.call('GET', '/v0/metrics/summary', {token: plane.adminToken})).json
    const calls = [post()]
    await until('gpuctl_inference_in_flight', 1)
    calls.push(post())
    await until('gpuctl_inference_queued', 1)
    expect(await summary()).toMatchObject({total_active_requests: 1, queued_requests: 1, total_requests: 0})

    held.open()
    await Promise.all(calls)
    await eventually(async () => (await summary()).total_requests === 2)
    expect(await summary()).toMatchObject({total_active_requests: 0, queued_requests: 0, successful_requests: 2})
  })

  test('a full queue is 429 with the time to wait', async () => {
    const {post, held, until} = await heldWorld({inference: {queueMost: 1}})
    const waiting = [post()]
    await until('gpuctl_inference_in_flight', 1)
    waiting.push(post())
    await until('gpuctl_inference_queued', 1)

    const refused = await post()
    expect([refused.status, refused.headers['retry-after'], refused.json.error]).toEqual([
      429,
      '60',
      {message: expect.any(String), type: 'rate_limit_exceeded', code: 'rate_limit_exceeded'},
    ])
    held.open()
    expect((await Promise.all(waiting)).map(({status}) => status)).toEqual([200, 200])
  })

  test('who waits too long gets 504', async () => {
    const {post, held, until} = await heldWorld({inference: {queueWaitMs: 50}})
    const first = post()
    await until('gpuctl_inference_in_flight', 1)

    const late = await post()
    expect([late.status, late.json.error]).toEqual([504, {message: expect.any(String), type: 'timeout', code: 504}])
    held.open()
    expect((await first).status).toBe(200)
  })

  test('who goes away while waiting takes no turn, and is 499 in the log', async () => {
    const {client, plane, post, held, until, asked} = await heldWorld()
    const first = post()
    await until('gpuctl_inference_in_flight', 1)
    const leaving = new AbortController()
    const left = client.chat.completions.create(chat, {signal: leaving.signal}).catch(error => error)
    await until('gpuctl_inference_queued', 1)

    leaving.abort()
    await left
    await until('gpuctl_inference_queued', 0)
    expect(plane.log()).toMatch(/"path":"\/v1\/chat\/completions","status":499,.*"cut":true/)
    held.open()
    await first
    expect((await post()).status).toBe(200)
    expect(asked()).toBe(2)
  })

  test('several runtimes share what comes: none has two at once, and none is left out', async () => {
    const {plane, key, runtimes} = await inferenceWorld([{delayMs: 20}, {delayMs: 20}, {delayMs: 20}])

    const replies = await inParallel([...Array(30).keys()], 30, () =>
      plane.call('POST', chatPath, {body: chat, token: key}),
    )
    expect(replies.filter(({status}) => status === 200)).toHaveLength(30)
    expect(runtimes.map(one => one.mostActive())).toEqual([1, 1, 1])
    for (const one of runtimes) expect(one.asked().length).toBeGreaterThanOrEqual(5)
  })

  test('a runtime that batches gets as many at once as the setting says, from the next call on', async () => {
    const {plane, post, held, until} = await heldWorld()
    const set = (value: string) =>
      plane.ask('settings.set', {name: 'inference.requests_per_runtime', value}, {token: plane.adminToken})
    expect((await set('2')).status).toBe(200)
    expect((await set('0')).status).toBe(400)

    const all = [post(), post(), post()]
    await until('gpuctl_inference_in_flight', 2)
    await until('gpuctl_inference_queued', 1)
    held.open()
    expect((await Promise.all(all)).map(({status}) => status)).toEqual([200, 200, 200])
  })

  test('a runtime that comes while others wait is used', async () => {
    const {plane, post, held, until} = await heldWorld()
    const first = post()
    await until('gpuctl_inference_in_flight', 1)
    const waiting = post()
    await until('gpuctl_inference_queued', 1)

    const other = await runtimeThat((_, response) => response.setHeader('content-type', 'application/json').end('{}'))
    await registerRuntime(plane, other, {machineName: 'server-2'})
    expect((await waiting).text).toBe('{}')
    held.open()
    await first
  })
})

describe('T33: a key', () => {
  test('has so many requests at once', async () => {
    const {plane, post, held, until} = await heldWorld()
    const {key} = await keyFor(plane, {concurrency: 1})
    const first = post(key)
    await until('gpuctl_inference_in_flight', 1)

    const refused = await post(key)
    expect([refused.status, refused.json.error.type]).toEqual([429, 'rate_limit_exceeded'])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    held.open()
    expect((await first).status).toBe(200)
    expect((await post(key)).status).toBe(200)
  })

  test('and so many a minute', async () => {
    const {plane} = await inferenceWorld()
    const {key} = await keyFor(plane, {requestsPerMinute: 2})
    const post = () => plane.call('POST', chatPath, {body: chat, token: key})

    expect([(await post()).status, (await post()).status]).toEqual([200, 200])
    const refused = await post()
    expect(refused.status).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(10)
  })
})

test('the figures name models and what came of the calls, and nothing of keys or prompts', async () => {
  const {plane, key, client} = await inferenceWorld()
  await client.chat.completions.create({...chat, messages: [{role: 'user', content: 'canary-prompt'}]})
  await client.chat.completions.create({...chat, model: 'canary-model'}).catch(() => undefined)

  const {text} = await plane.call('GET', '/metrics')
  expect(text).toContain(`gpuctl_inference_requests_total{model="${model}",outcome="200"} 1`)
  expect(text).toContain('gpuctl_inference_requests_total{model="",outcome="model_unknown"} 1')
  expect(text).toContain('gpuctl_inference_first_byte_seconds_count 1')
  for (const secret of [key, 'canary']) expect(text).not.toContain(secret)
})
