import {randomBytes} from 'node:crypto'
import {gzipSync} from 'node:zlib'
import {APIError, toFile} from 'openai'
import {describe, expect, test} from 'vitest'
import {controlPlane} from '../support/control-plane.ts'
import {chat, chatPath, gate, inferenceWorld, keyFor, model, runtimeThat} from '../support/inference-world.ts'
import {registerRuntime} from '../support/stand-in-runtime.ts'

describe('W1.6 W1.6-1: OpenAI’s own client', () => {
  test('gets whole answers: chat, completions, embeddings, responses', async () => {
    const {client, runtime} = await inferenceWorld()

    expect((await client.chat.completions.create(chat)).choices[0]?.message.content).toBe('Hello.')
    expect((await client.completions.create({model, prompt: 'Hello?'})).choices[0]?.text).toBe('Hello.')
    const vectors = await client.embeddings.create({model, input: 'Hello?', encoding_format: 'float'})
    expect(vectors.data[0]?.embedding).toEqual([0.25, -0.5, 1])
    expect((await client.responses.create({model, input: 'Hello?'})).output_text).toBe('Hello.')

    const paths = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses']
    expect(runtime.asked().map(({path}) => path)).toEqual(paths)
    expect(JSON.parse(runtime.asked()[0]?.body ?? '')).toEqual(chat)
  })

  test('gets each piece of a stream when the runtime has it, not when all is there', async () => {
    const plane = await controlPlane()
    const more = gate()
    const slow = await runtimeThat(async (_, response) => {
      response.writeHead(200, {'content-type': 'text/event-stream; charset=utf-8'})
      response.write('data: {"choices":[{"index":0,"delta":{"content":"first"}}]}\n\n')
      await more.opened
      response.end('data: {"choices":[{"index":0,"delta":{"content":"second"}}]}\n\ndata: [DONE]\n\n')
    })
    await registerRuntime(plane, slow)
    const {client} = await keyFor(plane)

    const {data: stream, response} = await client.chat.completions.create({...chat, stream: true}).withResponse()
    const words: unknown[] = []
    for await (const piece of stream) {
      words.push(piece.choices[0]?.delta.content)
      // Only now the runtime goes on: what came before did not wait for it.
      more.open()
    }
    expect(words).toEqual(['first', 'second'])
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  })

  test('sends a recording as a form, and the runtime gets it byte for byte', async () => {
    const {client, runtime} = await inferenceWorld()
    const recording = randomBytes(3 * 1024 * 1024)

    const {text} = await client.audio.transcriptions.create({file: await toFile(recording, 'a.wav'), model})
    expect(text).toBe('Hello.')
    const [seen] = runtime.asked()
    expect(seen?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
    expect(seen?.bytes.includes(recording)).toBe(true)
  })

  test('reads refusals as its own errors', async () => {
    const {client} = await inferenceWorld()

    const error = await client.chat.completions.create({...chat, model: 'nobody-has-it'}).catch(caught => caught)
    expect(error).toBeInstanceOf(APIError)
    expect(error).toMatchObject({status: 404, type: 'invalid_request_error'})
  })
})

test('W1.6-1: a body goes on as it is, its headers and the runtime’s do not', async () => {
  const {plane, key, runtime} = await inferenceWorld()
  const raw = `{ "model" :\t"${model}", "n": 1.0, "seed": 12345678901234567890, "x": "\\u0041",\r\n"messages": [] }`
  const headers = {cookie: 'session=1', 'x-api-key': key, 'x-custom': '1', 'proxy-authorization': 'Basic x'}

  const reply = await plane.call('POST', chatPath, {raw, headers})
  expect(reply.status).toBe(200)
  const [seen] = runtime.asked()
  expect(seen?.body).toBe(raw)
  expect(Object.keys(seen?.headers ?? {}).sort()).toEqual([
    ...['accept-encoding', 'connection', 'content-length', 'content-type', 'host', 'x-request-id'],
  ])
  const streamed = await plane.call('POST', chatPath, {body: {...chat, stream: true}, headers: {'x-api-key': key}})
  expect(streamed.text).toContain('data: [DONE]')
  expect(streamed.headers).not.toHaveProperty('set-cookie')
  expect(streamed.headers).not.toHaveProperty('server')
})

test('W1.6-1: an answer that the runtime packed, though nobody asked it to, says so here too', async () => {
  const plane = await controlPlane()
  const packed = gzipSync('{"choices":[]}')
  const packing = await runtimeThat((_, response) =>
    response.writeHead(200, {'content-type': 'application/json', 'content-encoding': 'gzip'}).end(packed),
  )
  await registerRuntime(plane, packing)
  const {client} = await keyFor(plane)
  expect(await client.chat.completions.create(chat)).toEqual({choices: []})
})

test('W1.6: who may call: logins, tokens that may write, keys for models; not those that only read', async () => {
  const {plane, key} = await inferenceWorld()
  const post = (token: string | undefined, headers = {}) => plane.call('POST', chatPath, {body: chat, token, headers})
  const {password} = await plane.user('ann')
  const {password: viewing} = await plane.user('vic', {role: 'viewer'})
  const {secret: reading} = await plane.ok<{secret: string}>(
    'tokens.create',
    {name: 'r', scopes: ['read']},
    {token: plane.adminToken},
  )

  expect((await post(await plane.login('ann', password))).status).toBe(200)
  expect((await post(plane.adminToken)).status).toBe(200)
  expect((await post(undefined, {'x-api-key': key})).status).toBe(200)
  expect((await post(await plane.login('vic', viewing))).json.error.type).toBe('permission_error')
  expect((await post(reading)).status).toBe(403)
  expect((await post(undefined)).json).toEqual({
    error: {message: expect.any(String), type: 'authentication_error', code: 401},
  })
  // Nothing but models is open to such a key.
  for (const name of ['nodes.list', 'auth.whoami', 'models.list'] as const)
    expect((await plane.ask(name, {}, {token: key})).json.error.code).toBe('scope_missing')
})

test('W1.6-2: what nobody knows is 404; what nobody online has is 503', async () => {
  const {plane, key, ids} = await inferenceWorld()
  const post = (name: string) => plane.call('POST', chatPath, {body: {...chat, model: name}, token: key})

  const unknown = await post('nobody-has-it')
  expect([unknown.status, unknown.json]).toEqual([
    404,
    {error: {message: 'There is no model nobody-has-it.', type: 'invalid_request_error', code: 404}},
  ])
  await plane.call('POST', `/v0/nodes/${ids[0]}/disconnect`, {token: plane.adminToken})
  const away = await post(model)
  expect([away.status, away.json]).toEqual([
    503,
    {error: {message: expect.any(String), type: 'service_unavailable', code: 'no_capable_nodes'}},
  ])
})

test('W1.6-6: the list of models, for users, keys and runtimes; and one of them', async () => {
  const {plane, key} = await inferenceWorld([{}, {models: [model, 'Qwen/Qwen3-Embedding']}])
  const item = {
    ...{id: model, object: 'model', created: 0, owned_by: 'router', ready: true},
    ...{lifecycle_status: 'ready', download_progress: null},
    supported_apis: ['chat_completions', 'completions', 'responses'],
    capabilities: {chat_completion: true, embeddings: false, speech_to_text: false, text_to_speech: false},
  }

  const {json} = await plane.call('GET', '/v1/models', {token: key})
  expect(json).toEqual({object: 'list', data: [{...item, id: 'Qwen/Qwen3-Embedding'}, item]})
  expect((await plane.call('GET', '/v1/models', {headers: {'x-node-token': 'nt_wrong'}})).status).toBe(401)
  expect((await plane.call('GET', '/v1/models')).status).toBe(401)
  expect((await plane.call('GET', `/v1/models/${model}`, {token: key})).json).toEqual(item)
  for (const name of ['Qwen/Qwen3-Embedding', 'Qwen%2FQwen3-Embedding'])
    expect((await plane.call('GET', `/v1/models/${name}`, {token: key})).json.id).toBe('Qwen/Qwen3-Embedding')
  expect((await plane.call('GET', '/v1/models/none', {token: key})).json.error.code).toBe(404)

  const third = await runtimeThat((_, response) => response.end())
  const {token} = await registerRuntime(plane, third, {machineName: 'server-3'})
  expect((await plane.call('GET', '/v1/models', {headers: {'x-node-token': token}})).status).toBe(200)
})

test('W1.6-7: a name may have one suffix, which the runtime gets; more, or none beside a colon, is refused', async () => {
  const {plane, key, runtimes} = await inferenceWorld([{models: ['llama']}, {models: ['llama:q8']}])
  const post = (name: string) => plane.call('POST', chatPath, {body: {...chat, model: name}, token: key})

  for (const name of ['llama:q4', 'llama:q8', 'llama']) expect((await post(name)).status).toBe(200)
  const asked = runtimes.map(one => one.asked().map(({body}) => JSON.parse(body).model))
  expect(asked).toEqual([['llama:q4', 'llama'], ['llama:q8']])
  for (const name of ['llama:q4:x', 'llama:', ':q4', ':']) {
    const reply = await post(name)
    expect([name, reply.status, reply.json.error.type]).toEqual([name, 400, 'invalid_request_error'])
  }
})

test('W6.1-9: every refusal below /v1 is in OpenAI’s envelope', async () => {
  const {plane, key} = await inferenceWorld()
  const token = key
  const type = {'content-type': 'text/plain'}
  const calls = {
    404: () => plane.call('GET', '/v1/nothing', {token}),
    405: () => plane.call('GET', chatPath, {token}),
    401: () => plane.call('POST', chatPath, {token: 'sk_wrong', body: chat}),
    415: () => plane.call('POST', chatPath, {token, raw: 'x', headers: type}),
    400: () => plane.call('POST', chatPath, {token, raw: '{"model":'}),
    413: () => plane.call('POST', chatPath, {token, raw: `{"model":"${'x'.repeat(9 * 1024 * 1024)}"}`}),
  }
  for (const [status, call] of Object.entries(calls)) {
    const reply = await call()
    expect([reply.status, reply.json]).toEqual([
      Number(status),
      {error: {message: expect.any(String), type: expect.stringMatching(/_error$/), code: Number(status)}},
    ])
  }
  for (const body of [[], {}, {model: 7}, {model: ''}, null]) {
    const reply = await plane.call('POST', chatPath, {token, body})
    expect([body, reply.status, reply.json.error.type]).toEqual([body, 400, 'invalid_request_error'])
  }
})
