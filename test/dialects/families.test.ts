import {expect, onTestFinished, test, vi} from 'vitest'
import type {Node} from '../../src/contract/schemas/nodes.ts'
import {type ControlPlane, controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {beatRuntime, standInRuntime} from '../support/stand-in-runtime.ts'

// What the five foreign APIs have to do with one another: one model, one listener, one user base.

/** How each family calls the state of the only node. */
async function wordsFor(plane: ControlPlane): Promise<{fleet: string; stream: string | undefined; claims: string}> {
  const token = plane.adminToken
  const [entry] = (await plane.call('GET', '/api/v1/nodes/', {token})).json
  const [node] = (await plane.call('GET', '/api/nodes', {token})).json
  return {fleet: entry.status, stream: await streamWord(plane, entry.id), claims: node.status}
}

async function streamWord(plane: ControlPlane, id: number): Promise<string | undefined> {
  const stop = new AbortController()
  const headers = {authorization: `Bearer ${plane.adminToken}`}
  const response = await fetch(`${plane.url}/api/v1/metrics/nodes/stats/stream`, {headers, signal: stop.signal})
  let text = ''
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece
    const line = /^data: (\{.*\})$/m.exec(text)?.[1]
    if (!line) continue
    stop.abort()
    const {nodes} = JSON.parse(line) as {nodes: {id: number; status: string}[]}
    return nodes.find(node => node.id === id)?.status
  }
  return undefined
}

const beat = {bootId: 'b1', sequence: 1, cpuPercent: 1, gpuState: 'ok' as const, runtimeState: 'ok' as const}

test('W6.4-1: a node that waits is pending, not in the streams, and registering', async () => {
  const plane = await controlPlane()
  await plane.joinRequest('gpu-01')
  expect(await wordsFor(plane)).toEqual({fleet: 'pending', stream: undefined, claims: 'Registering'})
})

test('W6.4-2: a node that was admitted and never reported is active, offline in the streams, and registering', async () => {
  const plane = await controlPlane()
  await plane.node('gpu-01')
  expect(await wordsFor(plane)).toEqual({fleet: 'active', stream: 'offline', claims: 'Registering'})
})

test.each([
  ['W6.4-3 W6.4-4: a node heard just now', 0, {fleet: 'active', stream: 'online', claims: 'Online'}],
  ['W6.4-5: a node silent for two minutes', 120_000, {fleet: 'active', stream: 'online', claims: 'Offline'}],
  ['W6.4-6: a node silent for six minutes', 360_000, {fleet: 'active', stream: 'stale', claims: 'Offline'}],
])('%s: the words of the families', async (_, silentMs, words) => {
  const plane = await controlPlane()
  const {nodeKey} = await plane.node('gpu-01')
  await plane.ok('nodes.beat', beat, {token: nodeKey})
  vi.useFakeTimers({toFake: ['Date'], now: Date.now() + silentMs})
  onTestFinished(() => void vi.useRealTimers())
  expect(await wordsFor(plane)).toEqual(words)
})

test('W6.3 W6.1-6: one account, four logins, and one token that all families take', async () => {
  const plane = await controlPlane()
  const {password} = await plane.user('ada', {role: 'node_admin'})
  const body = {username: 'ada', password}
  const answers = {
    'llm-router': (await plane.call('POST', '/v0/auth/login', {body})).json.token,
    rental: (await plane.call('POST', '/base/login', {body})).json.data.token,
    fleet: (await plane.call('POST', '/api/v1/auth/login', {body})).json.access_token,
    'gpu-claims': (await plane.call('POST', '/api/auth/login', {body})).json.token,
  }
  for (const [family, token] of Object.entries(answers)) {
    const bearer = {token: token as string}
    const statuses = [
      await plane.call('GET', '/v0/nodes', bearer),
      await plane.call('GET', '/instance/getInstanceList', {headers: {'x-token': token as string}}),
      await plane.call('GET', '/api/v1/nodes/', bearer),
      await plane.call('GET', '/api/gpu-claims', bearer),
      await plane.ask('auth.whoami', {}, bearer),
    ].map(({status}) => status)
    expect(statuses, family).toEqual([200, 200, 200, 200, 200])
  }
})

test('W6.1-8: each family’s login lives as long as its document says', async () => {
  const plane = await controlPlane()
  const {password} = await plane.user('ada')
  const body = {username: 'ada', password}
  const livesSeconds = (token: string) => {
    const {iat, exp} = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
    return exp - iat
  }
  const router = (await plane.call('POST', '/v0/auth/login', {body})).json
  const rental = (await plane.call('POST', '/base/login', {body})).json.data
  const fleet = (await plane.call('POST', '/api/v1/auth/login', {body})).json
  const claims = (await plane.call('POST', '/api/auth/login', {body})).json

  expect(livesSeconds(router.token)).toBe(86_400)
  expect(router.expires_in).toBe(86_400)
  expect(livesSeconds(rental.token)).toBe(7 * 86_400)
  expect(Math.abs(rental.expiresAt - Date.now() / 1000 - 7 * 86_400)).toBeLessThan(60)
  expect(livesSeconds(fleet.access_token)).toBe(1_800)
  expect(livesSeconds(claims.token)).toBe(3_600)
})

test('W6.1-2 W6.2: three ways to register make three entries of one model, seen by every family', async () => {
  const plane = await controlPlane()
  const token = plane.adminToken
  await plane.call('POST', '/api/v1/nodes/join-request', {body: {hostname: 'by-fleet'}})
  await plane.call('POST', '/api/nodes/register', {body: {hostname: 'by-claims'}})
  await plane.joinRequest('by-native')

  const native = await plane.ok<Node[]>('nodes.list', {}, {token})
  const fleet = (await plane.call('GET', '/api/v1/nodes/', {token})).json
  const claims = (await plane.call('GET', '/api/nodes', {token})).json
  const hosts = ['by-claims', 'by-fleet', 'by-native']
  expect(native.map(({hostname}) => hostname).sort()).toEqual(hosts)
  expect(fleet.map((node: {hostname: string}) => node.hostname).sort()).toEqual(hosts)
  expect(claims.map((node: {hostname: string}) => node.hostname).sort()).toEqual(hosts)
  const [first] = native
  expect(fleet.find((node: {uuid: string}) => node.uuid === first?.id)).toMatchObject({id: first?.number})
  expect(claims.find((node: {id: string}) => node.id === first?.id)).toMatchObject({node_id: first?.number})
})

test('W6.1-1 W6.1-3 W6.1-4 W6.1-5: paths that look alike reach their own family', async () => {
  const plane = await controlPlane()
  const token = plane.adminToken
  const ask = async (method: string, path: string) =>
    (await plane.call(method, path, {token, body: method === 'POST' ? {} : undefined})).json

  // The exact path belongs to the agents, and here is nothing at it; the deeper one is the fleet's.
  expect(await ask('GET', '/api/v1/metrics')).toHaveProperty('detail')
  expect(await ask('GET', '/api/v1/metrics/nodes/stats/stream?interval=99')).toMatchObject({
    detail: [{loc: ['query', 'interval']}],
  })
  expect(await ask('GET', '/api/v1/instance/getInstanceList')).toMatchObject({code: 0})
  expect(await ask('GET', '/api/v1/nodes/')).toEqual([])
  expect(await ask('GET', '/api/v1/nodes/status/code/ZZZZZ')).toHaveProperty('detail')
  expect(await ask('GET', '/api/v1/nodes/status')).toHaveProperty('detail')
  expect(await ask('POST', '/api/nodes/register')).toMatchObject({error: expect.stringContaining('hostname')})
  expect(await ask('GET', '/api/nodes/register/status')).toMatchObject({error: expect.any(String)})
})

test('W6.1-9: a member that is null is as good as absent where it may be absent, whatever the family', async () => {
  const plane = await controlPlane()
  const token = plane.adminToken
  const runtime = await standInRuntime()
  const registration = {
    ...{machine_name: 'server-01', ip_address: runtime.host, runtime_version: '0.1.0', runtime_port: runtime.port},
    ...{gpu_available: true, gpu_devices: [{model: 'RTX 4090', count: 2, memory: null}]},
    ...{gpu_count: null, gpu_model: null, supported_runtimes: null},
  }
  const registered = await plane.call('POST', '/v0/nodes', {body: registration})
  expect(registered.status).toBe(201)
  const {runtime_id: id, runtime_token: key} = registered.json
  const unset = [
    'gpu_usage',
    'gpu_model_name',
    'loaded_models',
    'initializing',
    'ready_models',
    'sync_progress',
    'node_id',
  ]
  const nothing = Object.fromEntries(unset.map(name => [name, null]))
  expect(await beatRuntime(plane, {id, token: key}, nothing)).toBe(200)
  expect(await beatRuntime(plane, {id, token: key}, {cpu_usage: null})).toBe(400)
  expect((await plane.call('GET', '/v0/nodes')).json).toMatchObject([{gpu_count: 2, gpu_model: 'RTX 4090'}])

  const image = {name: 'cuda', address: 'cuda:12', remark: 'kept', description: null, isOnShelf: null}
  const created = await plane.call('POST', '/imageregistry/createImageRegistry', {token, body: image})
  expect(created.json).toMatchObject({code: 0, data: {remark: 'kept', isListed: true}})
  const change = {ID: created.json.data.ID, name: 'cuda 12', address: null, remark: null}
  expect((await plane.call('PUT', '/imageregistry/updateImageRegistry', {token, body: change})).json).toMatchObject({
    ...{code: 0, data: {name: 'cuda 12', address: 'cuda:12', remark: 'kept'}},
  })
  const nameless = await plane.call('POST', '/imageregistry/createImageRegistry', {token, body: {...image, name: null}})
  expect(nameless.json).toMatchObject({code: 7, data: null})

  const claim = {spec: null, image: 'cuda:12', resources: {gpuCount: 0}}
  expect((await plane.call('POST', '/api/gpu-claims', {token, body: claim})).status).toBe(202)
})

test('W6.1-7: X-API-Key takes a user’s token where users are asked, and a node’s where nodes are', async () => {
  const plane = await controlPlane()
  const {secret} = await plane.ok<{secret: string}>('tokens.create', {name: 'ci'}, {token: plane.adminToken})
  const {nodeKey} = await plane.node('gpu-01')
  const stats = {cpu_usage: 1, disk_usage: 2, active_backups: 0}
  const asked = async (method: string, path: string, key: string, body?: unknown) =>
    (await plane.call(method, path, {headers: {'x-api-key': key}, body})).status

  expect(await asked('GET', '/v0/nodes/metrics', secret)).toBe(200)
  expect(await asked('GET', '/v0/nodes/metrics', nodeKey)).toBe(401)
  expect(await asked('POST', '/api/v1/stats/', nodeKey, stats)).toBe(200)
  expect([401, 403]).toContain(await asked('POST', '/api/v1/stats/', secret, stats))
})

test('W6.1-10: all families answer on every listener of the server', async () => {
  const plane = await controlPlane({
    addresses: [
      {host: '127.0.0.1', port: 0},
      {host: '127.0.0.2', port: 0},
    ],
  })
  const other = plane.urls[1] as string
  for (const path of [
    '/v0/nodes',
    '/api/gpu-claims',
    '/api/v1/nodes/',
    '/instance/getInstanceList',
    '/gpuctl/v1/version',
  ]) {
    const headers = {authorization: `Bearer ${plane.adminToken}`, 'x-token': plane.adminToken}
    expect((await fetch(other + path, {headers})).status, path).toBe(200)
  }
})

test('W6.5-5 W6.2: a claim of one family is the instance of another, and holds its GPU for both', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 1})
  const token = plane.adminToken
  const claim = {spec: {image: 'busybox', resources: {gpuCount: 1}}}
  const first = await plane.call('POST', '/api/gpu-claims', {token, body: claim})
  const second = await plane.call('POST', '/api/gpu-claims', {token, body: claim})
  expect([first.status, second.status]).toEqual([202, 202])

  await expect
    .poll(async () => (await plane.call('GET', `/api/gpu-claims/${first.json.id}`, {token})).json.status.phase, {
      timeout: 10_000,
    })
    .toBe('Running')
  const waiting = (await plane.call('GET', `/api/gpu-claims/${second.json.id}`, {token})).json
  expect(waiting.status).toMatchObject({phase: 'Pending', reason: expect.stringContaining('Unschedulable')})
  const {list} = (await plane.call('GET', '/instance/getInstanceList', {headers: {'x-token': token}})).json.data
  expect(list.filter((one: {status: string}) => one.status === 'running')).toHaveLength(1)
})
