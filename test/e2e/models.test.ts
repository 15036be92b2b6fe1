import {expect, test} from 'vitest'
import type {Model} from '../../src/contract/schemas/models.ts'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {inferenceWorld, model} from '../support/inference-world.ts'
import {eventually} from '../support/wait.ts'

const personAt = (plane: ControlPlane) => operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})

test('a person sees the models, and the runtimes that hold one', async () => {
  const {plane} = await inferenceWorld([{}, {}])
  const {ok, json, run} = await personAt(plane)

  expect((await ok(['model', 'list'])).stdout).toBe(`${model}\tready\tchat\t2\t2\n`)
  expect((await ok(['models', 'get', model])).stdout).toContain('server-2: online')
  expect(await json<Model>(['model', 'get', model])).toMatchObject({ready: true, runtimes: [{name: 'server-1'}, {}]})
  const none = await run(['model', 'get', 'none'])
  expect([none.code, none.stderr]).toEqual([3, expect.stringContaining('There is no model none.')])
})

test('a person asks a model: by argument or standard input, as words or as JSON', async () => {
  const {plane, runtime} = await inferenceWorld()
  const {ok, json, run} = await personAt(plane)

  expect((await ok(['model', 'chat', model, 'What is a GPU?', '--system', 'Be brief.'])).stdout).toBe(
    'word0 word1 word2 \n',
  )
  expect(JSON.parse(runtime.asked()[0]?.body ?? '')).toEqual({
    model,
    messages: [
      {role: 'system', content: 'Be brief.'},
      {role: 'user', content: 'What is a GPU?'},
    ],
    stream: true,
  })
  expect((await run(['model', 'chat', model], {input: 'From a pipe\n'})).code).toBe(0)
  expect(JSON.parse(runtime.asked()[1]?.body ?? '').messages).toEqual([{role: 'user', content: 'From a pipe'}])
  expect(await json(['model', 'chat', model, 'Hello?'])).toMatchObject({choices: [{message: {content: 'Hello.'}}]})
})

test.each([
  [['model', 'chat', 'none', 'x'], 3, 'There is no model none.'],
  [['model', 'chat', 'a:b:c', 'x'], 2, 'model: is no name of a model'],
])('gpuctl %j ends with %i and says why', async (args, code, words) => {
  const {run} = await personAt(await controlPlane())
  const ended = await run(args)
  expect([ended.code, ended.stderr]).toEqual([code, expect.stringContaining(words)])
})

test('Ctrl-C stops the model, too', async () => {
  const {plane, runtime} = await inferenceWorld([{pieces: 10_000, pieceMs: 10}])
  const {run} = await personAt(plane)
  const stop = new AbortController()
  const chatting = run(['model', 'chat', model, 'Go on.'], {signal: stop.signal}).catch(error => error)
  await eventually(() => runtime.asked().length === 1, {withinMs: 20_000, what: 'the question'})

  stop.abort()
  await chatting
  await eventually(() => runtime.asked()[0]?.wasCut === true, {withinMs: 10_000, what: 'the end of the work'})
})

test('a key for models is made with its bounds, and opens an OpenAI client', async () => {
  const {plane} = await inferenceWorld([])
  const {ok, json} = await personAt(plane)

  const made = await ok(['token', 'create', 'bot', '--scope', 'inference', '--rate', '60', '--concurrency', '4'])
  const key = made.stdout.trim()
  expect(key).toMatch(/^sk_[A-Za-z0-9]{32}$/)
  expect(await json(['token', 'list'])).toContainEqual(
    expect.objectContaining({name: 'bot', scopes: ['inference'], requestsPerMinute: 60, concurrency: 4}),
  )
  expect((await plane.call('GET', '/v1/models', {token: key})).json).toEqual({object: 'list', data: []})
})
