import {createHash} from 'node:crypto'
import {once} from 'node:events'
import {expect, onTestFinished, test} from 'vitest'
import WebSocket from 'ws'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {
  beatRuntime,
  nextLoopbackAddress,
  registerRuntime,
  type StandInRuntime,
  standInRuntime,
} from '../support/stand-in-runtime.ts'
import {eventually} from '../support/wait.ts'

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

test('W1.1-3 W1.5-2 W1.8-4 W6.5-13 R2 T24: approve takes POST and the document’s literal GET, by the Authorization header alone', async () => {
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

test('W1.1-5 W1.4 W1.8-1: the document’s beat is answered with null, and shows in the list', async () => {
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

test.each([
  ['no GPU', {gpu_available: false}],
  ['no list of devices', {gpu_devices: []}],
  ['a count of 0', {gpu_devices: [{model: 'RTX 4090', count: 0}]}],
  ['a blank model', {gpu_devices: [{model: ' ', count: 1}]}],
])('W1.3-1: a registration with %s is refused with 403, before anything is dialled', async (_, change) => {
  const plane = await controlPlane()
  const runtime = await standInRuntime()

  const reply = await register(plane, runtime, change)

  expect(reply).toMatchObject({status: 403, json: {error: 'Request error', message: expect.stringContaining('GPU')}})
  expect(runtime.seen).toEqual([])
})

test('W1.3-1: count and model of the GPUs come from the devices unless given', async () => {
  const plane = await controlPlane()
  const gpu_devices = [
    {model: 'RTX 4090', count: 2, memory: 25_769_803_776},
    {model: 'L40S', count: 1},
  ]
  await register(plane, await standInRuntime(), {gpu_devices, supported_runtimes: ['llama.cpp']})
  await register(plane, await standInRuntime(), {gpu_devices, gpu_count: 7, gpu_model: 'Many'})

  const nodes = (await plane.call('GET', '/v0/nodes')).json

  expect(nodes[0]).toMatchObject({gpu_count: 3, gpu_model: 'RTX 4090', gpu_devices, supported_runtimes: ['llama.cpp']})
  expect(nodes[1]).toMatchObject({gpu_count: 7, gpu_model: 'Many'})
})

test('W1.3-2: the probe reads the list of models in both forms, with what is ready', async () => {
  const plane = await controlPlane()
  const ids: string[] = []
  for (const runtime of [
    await standInRuntime({models: ['a', 'b', 'c'], readyModels: [1, 3]}),
    await standInRuntime({models: ['d'], initializing: true, bare: true}),
  ]) {
    ids.push((await registerRuntime(plane, runtime)).id)
    expect(runtime.seen).toMatchObject([{method: 'GET', path: '/v1/models', body: ''}])
  }

  const nodes = (await plane.call('GET', '/v0/nodes')).json

  expect(nodes[0]).toMatchObject({
    ...{executable_models: ['a', 'b', 'c'], ready_models: [1, 3], initializing: true, status: 'registering'},
  })
  expect(nodes[1]).toMatchObject({executable_models: ['d'], ready_models: [1, 1], status: 'online'})
})

test('W1.3-2 W1.3-5 R10: a runtime without models, one that redirects, one that says too much and none at all are one 502', async () => {
  const plane = await controlPlane()
  const gone = await standInRuntime()
  await gone.stop()
  const away = await standInRuntime({listFault: {status: 302, headers: {location: 'http://127.0.0.1:1/'}}})
  const endless = await standInRuntime({listFault: {status: 200, body: ' '.repeat(70_000)}})
  const runtimes = [await standInRuntime({models: []}), gone, away, endless]

  const replies = await Promise.all(runtimes.map(runtime => register(plane, runtime)))

  for (const {status, text} of replies) {
    expect([status, text]).toEqual([502, '{"error":"Backend service unavailable"}'])
  }
  expect((await plane.call('GET', '/v0/nodes')).json).toEqual([])
})

test('W1.3-3 W6.5-2: registering again keeps the id, asks for a new approval, and kills the former token', async () => {
  const plane = await controlPlane()
  const runtime = await standInRuntime()
  const first = await registerRuntime(plane, runtime)
  await beatRuntime(plane, first, {loaded_models: ['x'], sync_state: 'running'})

  const second = await registerRuntime(plane, runtime, {approve: false})

  expect(second.id).toBe(first.id)
  expect(await beatRuntime(plane, first)).toBe(401)
  expect(await beatRuntime(plane, second)).toBe(200)
  const [node] = (await plane.call('GET', '/v0/nodes')).json
  expect(node).toMatchObject({status: 'pending', loaded_models: []})
  expect(node).not.toHaveProperty('online_since')
  expect(node).not.toHaveProperty('sync_state')
})

test('W1.3-4: only the SHA-256 of a token is kept', async () => {
  const plane = await controlPlane()
  const {id, token} = await registerRuntime(plane, await standInRuntime())

  const kept = await plane.whileStopped(store => store.runtimes.find(id))

  expect(kept?.tokenHash).toBe(createHash('sha256').update(token).digest('hex'))
  expect(JSON.stringify(kept)).not.toContain(token)
  expect(plane.log()).not.toContain(token)
  expect(await beatRuntime(plane, {id, token})).toBe(200)
  expect((await plane.call('GET', '/v0/nodes')).json).toMatchObject([{id, status: 'online'}])
})

test.each([0, 1023, 65_535, 65_536, 1.5, '8080'])('W1.3-6: runtime_port %j is refused with 400', async port => {
  const plane = await controlPlane()

  const reply = await register(plane, await standInRuntime(), {runtime_port: port})

  expect(reply).toMatchObject({
    status: 400,
    json: {error: 'Request error', message: expect.stringContaining('runtime_port')},
  })
})

test.each([
  [[0, 0], 200],
  [[300, 300], 200],
  [[1, 2], 200],
  [[2, 1], 400],
  [[-1, 1], 400],
  [[1], 400],
])('W1.8-5 T4: ready_models %j is answered with %d', async (ready_models, status) => {
  const plane = await controlPlane()
  const runtime = await registerRuntime(plane, await standInRuntime())

  expect(await beatRuntime(plane, runtime, {ready_models})).toBe(status)
})

test('W1.7: an administrator changes, disconnects and deletes runtimes, and sees their figures', async () => {
  const plane = await controlPlane()
  const token = plane.adminToken
  const runtime = await standInRuntime()
  const known = await registerRuntime(plane, runtime)
  await registerRuntime(plane, await standInRuntime(), {approve: false})
  await beatRuntime(plane, known, {gpu_usage: 40, active_requests: 2})
  const path = `/v0/nodes/${known.id}`

  const body = {custom_name: 'front', tags: ['a', 'b'], notes: 'Rack 7'}
  expect((await plane.call('PUT', `${path}/settings`, {token, body})).json).toMatchObject(body)
  const reset = (await plane.call('PUT', `${path}/settings`, {token, body: {custom_name: null, notes: null}})).json
  expect(reset).toMatchObject({tags: ['a', 'b']})
  expect(reset).not.toHaveProperty('custom_name')
  expect(reset).not.toHaveProperty('notes')

  const summary = (await plane.call('GET', '/v0/metrics/summary', {token})).json
  expect(summary).toMatchObject({
    ...{total_nodes: 2, online_nodes: 1, pending_nodes: 1, registering_nodes: 0, offline_nodes: 0},
    ...{total_active_requests: 2, queued_requests: 0, average_gpu_usage: 40, total_requests: 0},
  })
  const metrics = (await plane.call('GET', '/v0/nodes/metrics', {token})).json
  expect(metrics[0]).toMatchObject({node_id: known.id, cpu_usage: 12.3, memory_usage: 45.6, is_stale: false})
  expect(metrics[1]).toMatchObject({cpu_usage: null, is_stale: true})
  expect((await plane.call('GET', '/v0/dashboard/request-history', {token})).json).toHaveLength(60)
  const overview = (await plane.call('GET', '/v0/dashboard/overview', {token})).json
  expect(overview).toMatchObject({stats: {total_nodes: 2}, nodes: [{id: known.id, loaded_models: []}, {}]})

  const away = await plane.call('POST', `${path}/disconnect`, {token})
  expect(away).toMatchObject({status: 202, json: {status: 'offline'}})
  expect(await beatRuntime(plane, known)).toBe(200)
  expect((await plane.call('GET', '/v0/nodes')).json[0]).toMatchObject({status: 'online'})

  const gone = await plane.call('DELETE', path, {token})
  expect([gone.status, gone.text]).toEqual([204, ''])
  expect(await beatRuntime(plane, known)).toBe(401)
  const missing = await plane.call('DELETE', path, {token})
  expect([missing.status, missing.json]).toEqual([404, {error: 'Node not found'}])
  for (const route of ['/v0/nodes/metrics', '/v0/metrics/summary', '/v0/dashboard/nodes', '/v0/dashboard/overview'])
    expect((await plane.call('GET', route)).status, route).toBe(401)
})

test('W1.7: the log of a runtime comes from the runtime itself, as it tells it', async () => {
  const plane = await controlPlane()
  const token = plane.adminToken
  const runtime = await standInRuntime()
  const {id} = await registerRuntime(plane, runtime)
  const logs = (query = '') => plane.call('GET', `/v0/nodes/${id}/logs${query}`, {token})

  expect((await logs()).json).toEqual({lines: ['loaded'], asked: '/v0/logs?tail=200'})
  expect((await logs('?limit=7')).json).toMatchObject({asked: '/v0/logs?tail=7'})
  expect((await logs('?limit=1001')).status).toBe(400)
  expect((await plane.call('GET', `/v0/nodes/${id}/logs`)).status).toBe(401)
  await runtime.stop()
  const gone = await logs()
  expect([gone.status, gone.json]).toEqual([502, {error: 'Backend service unavailable'}])
})

test('W6.1-9 W6.5-8: what goes wrong in this family is said in its own words', async () => {
  const plane = await controlPlane()
  const words = async (method: string, path: string, rest = {}) => {
    const {status, json} = await plane.call(method, path, rest)
    return [status, json?.error]
  }

  expect(await words('GET', '/v0/nothing')).toEqual([404, 'Request error'])
  expect(await words('PATCH', '/v0/nodes')).toEqual([405, 'Request error'])
  expect(await words('POST', '/v0/nodes', {raw: '{"machine_name"'})).toEqual([400, 'Request error'])
  expect(await words('POST', '/v0/nodes', {raw: 'x', headers: {'content-type': 'text/plain'}})).toEqual([
    415,
    'Request error',
  ])
  // Who shows no token hears that, whatever stands in the body.
  expect(await words('POST', '/v0/health', {body: {}})).toEqual([401, 'Authentication failed'])
  const headers = {'x-node-token': 'nt_x'}
  expect(await words('POST', '/v0/health', {body: {}, headers})).toEqual([400, 'Request error'])
  expect(await words('GET', '/v0/auth/me')).toEqual([401, 'Authentication failed'])
  expect(await words('GET', '/v0/auth/me', {token: 'nonsense'})).toEqual([401, 'Authentication failed'])
  await plane.user('bob')
  const token = await plane.login('bob', 'Long-enough-bob')
  expect(await words('DELETE', '/v0/nodes/x', {token})).toEqual([403, 'Access denied'])
})

test('W1.7: /ws/dashboard tells of runtimes that come, change, beat and go, to administrators alone', async () => {
  const plane = await controlPlane()
  const token = plane.adminToken
  const {password} = await plane.user('ann')
  const login = await plane.login('ann', password)
  const address = (credential: string) => `${plane.url.replace('http', 'ws')}/ws/dashboard?token=${credential}`
  const refusal = async (to: string) => {
    const socket = new WebSocket(to)
    socket.on('error', () => {})
    const [, {statusCode}] = (await once(socket, 'unexpected-response')) as [unknown, {statusCode: number}]
    socket.terminate()
    return statusCode
  }
  const apiToken = (await plane.ok<{secret: string}>('tokens.create', {name: 'page'}, {token})).secret
  // A token that lives for months is not taken from an address (T8).
  expect(await refusal(address(''))).toBe(401)
  expect(await refusal(address(apiToken))).toBe(401)
  expect(await refusal(address(login))).toBe(403)

  const boss = await plane.user('boss', {role: 'super_admin'})
  const adminLogin = await plane.login('boss', boss.password)
  const socket = new WebSocket(address(adminLogin))
  onTestFinished(() => socket.terminate())
  const told: {type: string; data: {id: string; status?: string; load?: unknown}}[] = []
  socket.on('message', message => told.push(JSON.parse(String(message))))
  await once(socket, 'open')
  const heard = (type: string) => eventually(() => told.find(one => one.type === type)?.data, {what: type})

  const runtime = await registerRuntime(plane, await standInRuntime(), {approve: false})
  expect(await heard('NodeRegistered')).toMatchObject({id: runtime.id, status: 'pending', machine_name: 'server-01'})
  await plane.ok('runtimes.approve', {id: runtime.id}, {token})
  expect(await heard('NodeStatusChanged')).toMatchObject({id: runtime.id})
  expect(await beatRuntime(plane, runtime)).toBe(200)
  expect(await heard('MetricsUpdated')).toMatchObject({id: runtime.id})
  expect((await plane.call('DELETE', `/v0/nodes/${runtime.id}`, {token})).status).toBe(204)
  expect(await heard('NodeRemoved')).toEqual({id: runtime.id})

  const closed = once(socket, 'close')
  await plane.ok('auth.logout', {all: true}, {token: adminLogin})
  expect((await closed)[0]).toBe(4401)
})
