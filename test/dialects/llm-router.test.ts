import {expect, test} from 'vitest'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {
  beatRuntime,
  nextLoopbackAddress,
  registerRuntime,
  type StandInRuntime,
  standInRuntime,
} from '../support/stand-in-runtime.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/

/** The registration of the document; its port is that of the stand-in. */
const registration = {
  machine_name: 'server-01',
  ip_address: '127.0.0.1',
  runtime_version: '0.1.0',
  runtime_port: 32768,
  gpu_available: true,
  gpu_devices: [{model: 'NVIDIA RTX 4090', count: 1}],
}

/** The beat of the document. */
const beat = {
  cpu_usage: 12.3,
  memory_usage: 45.6,
  active_requests: 0,
  average_response_time_ms: 110.0,
  loaded_models: ['gpt-oss-20b'],
  loaded_embedding_models: [],
  initializing: false,
  ready_models: [1, 1],
}

function register(plane: ControlPlane, runtime: Pick<StandInRuntime, 'port'>, change: Record<string, unknown> = {}) {
  const body = {...registration, runtime_port: runtime.port, ...change}
  return plane.call('POST', '/v0/nodes', {body, localAddress: nextLoopbackAddress()})
}

/** Of a server whose first administrator has this password. */
async function planeWithAdmin(options: Parameters<typeof controlPlane>[0] = {}) {
  const plane = await controlPlane(options)
  const password = plane.firstPassword as string
  const reply = await plane.call('POST', '/v0/auth/login', {body: {username: 'admin', password}})
  return {plane, password, login: reply}
}

test('W1.1-1 W1.8-1: a runtime registers and gets id and token under both names', async () => {
  const plane = await controlPlane()
  const runtime = await standInRuntime()

  const first = await register(plane, runtime)
  const again = await register(plane, runtime)

  expect(first.status).toBe(201)
  expect(first.json).toEqual({
    runtime_id: expect.stringMatching(uuid),
    node_id: first.json.runtime_id,
    runtime_token: expect.stringMatching(/^nt_[0-9a-f-]{36}$/),
    node_token: first.json.runtime_token,
    status: 'registered',
    runtime_api_port: runtime.apiPort,
    node_api_port: runtime.apiPort,
  })
  expect(again.status).toBe(200)
  expect(again.json).toMatchObject({runtime_id: first.json.runtime_id, status: 'updated'})
})

test('W1.1-2 W1.7: a login of this family lives 24 hours and names user and role', async () => {
  const {plane, login} = await planeWithAdmin()

  expect(login.status).toBe(200)
  expect(login.json).toEqual({
    token: expect.any(String),
    expires_in: 86_400,
    user: {id: expect.stringMatching(uuid), username: 'admin', role: 'admin'},
  })
  const {iat, exp} = JSON.parse(Buffer.from(login.json.token.split('.')[1], 'base64url').toString())
  expect(exp - iat).toBe(86_400)
  const me = await plane.call('GET', '/v0/auth/me', {token: login.json.token})
  expect(me.json).toMatchObject({user_id: login.json.user.id, username: 'admin', role: 'admin'})
  expect((await plane.call('POST', '/v0/auth/logout', {token: login.json.token})).status).toBe(204)
  expect((await plane.call('GET', '/v0/auth/me', {token: login.json.token})).status).toBe(401)

  const wrong = await plane.call('POST', '/v0/auth/login', {body: {username: 'admin', password: 'test'}})
  expect([wrong.status, wrong.json]).toEqual([401, {error: 'Invalid username or password'}])
})

test('W1.1-3 W6.5-13 R2 T24: approve takes POST and the document’s literal GET, by the Authorization header alone', async () => {
  const {plane, login} = await planeWithAdmin()
  const {token} = login.json
  const key = {'x-api-key': plane.adminToken}
  const path = async () =>
    `/v0/nodes/${(await registerRuntime(plane, await standInRuntime(), {approve: false})).id}/approve`
  const headers = {'content-type': 'application/json'}

  const byGet = await path()
  expect((await plane.call('GET', byGet, {headers})).status).toBe(401)
  expect((await plane.call('GET', byGet, {headers: {...headers, ...key}})).status).toBe(401)
  expect((await plane.call('GET', `${byGet}?token=${token}`, {headers: {cookie: `token=${token}`}})).status).toBe(401)
  const readOnly = await plane.ok<{secret: string}>(
    'tokens.create',
    {name: 'reader', scopes: ['read']},
    {token: plane.adminToken},
  )
  expect((await plane.call('GET', byGet, {headers, token: readOnly.secret})).status).toBe(403)
  const got = await plane.call('GET', byGet, {headers, token})
  expect(got).toMatchObject({status: 200, json: {machine_name: 'server-01', status: 'online', ready_models: [1, 1]}})

  const byPost = await path()
  expect((await plane.call('POST', byPost, {headers: {...headers, ...key}})).status).toBe(200)
  const again = await plane.call('POST', byPost, {headers, token})
  expect(again.status).toBe(400)
  expect((await plane.call('POST', '/v0/nodes/00000000-0000-4000-8000-000000000000/approve', {token})).status).toBe(404)
  await plane.user('viewer-1', {role: 'viewer'})
  const viewer = await plane.login('viewer-1', 'Long-enough-viewer-1')
  expect((await plane.call('POST', byPost, {token: viewer})).status).toBe(403)
})

test('W1.1-4 W1.2: the list is a bare array of nodes, oldest registration first', async () => {
  const plane = await controlPlane()
  const one = await registerRuntime(plane, await standInRuntime({models: ['a', 'b']}))
  const two = await registerRuntime(plane, await standInRuntime(), {approve: false, machineName: 'server-02'})

  const {status, json} = await plane.call('GET', '/v0/nodes')

  expect(status).toBe(200)
  expect(json.map((node: {id: string}) => node.id)).toEqual([one.id, two.id])
  expect(json[0]).toEqual({
    id: one.id,
    machine_name: 'server-01',
    ip_address: '127.0.0.1',
    runtime_version: '0.1.0',
    runtime_port: expect.any(Number),
    status: 'online',
    registered_at: expect.stringMatching(time),
    last_seen: expect.stringMatching(time),
    online_since: expect.stringMatching(time),
    tags: [],
    loaded_models: [],
    loaded_embedding_models: [],
    loaded_asr_models: [],
    loaded_tts_models: [],
    executable_models: ['a', 'b'],
    supported_runtimes: [],
    gpu_devices: [{model: 'NVIDIA RTX 4090', count: 1}],
    gpu_available: true,
    gpu_count: 1,
    gpu_model: 'NVIDIA RTX 4090',
    node_api_port: json[0].runtime_port + 1,
    initializing: false,
    ready_models: [2, 2],
  })
  expect(json[1]).toMatchObject({status: 'pending'})
  expect(json[1]).not.toHaveProperty('online_since')
})

test('W1.1-5 W1.4: the document’s beat is answered with null, and shows in the list', async () => {
  const plane = await controlPlane()
  const {id, token} = await registerRuntime(plane, await standInRuntime())

  const reply = await plane.call('POST', '/v0/health', {
    body: {runtime_id: id, ...beat, gpu_usage: 7, gpu_compute_capability: '8.9', gpu_capability_score: 9000, more: 1},
    headers: {'x-node-token': token},
  })

  expect([reply.status, reply.text]).toEqual([200, 'null'])
  const [node] = (await plane.call('GET', '/v0/nodes')).json
  expect(node).toMatchObject({
    loaded_models: ['gpt-oss-20b'],
    ready_models: [1, 1],
    gpu_compute_capability: '8.9',
    gpu_capability_score: 9000,
  })
  expect(await beatRuntime(plane, {id, token}, {loaded_models: [], runtime_id: undefined, node_id: id})).toBe(200)
  expect((await plane.call('GET', '/v0/nodes')).json[0].loaded_models).toEqual(['gpt-oss-20b'])
})
