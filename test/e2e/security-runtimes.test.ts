import {expect, test} from 'vitest'
import {controlPlane} from '../support/control-plane.ts'
import {type LabCall, networkLab} from '../support/network-lab.ts'
import {need} from '../support/skips.ts'
import {beatRuntime, registerRuntime, standInRuntime} from '../support/stand-in-runtime.ts'

/** Addresses that no registration may make the server dial; those of this machine, where the canary listens, first. */
const forbidden = {
  local: [
    '169.254.169.254',
    '0.1.2.3',
    '192.0.0.8',
    '240.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::1',
  ].concat(['fec0::1', '100::1', '2001::1', '::2', '::7f00:2', 'fe80::77', '10.9.9.77', 'fd00:9::1']),
  spelled: [
    ...['localhost', 'localhost.', 'ip6-localhost', 'LOCALHOST', 'metadata.google.internal', 'example.com'],
    ...['127.1', '127.0.1', '0x7f.1', '0x7f000001', '0x7f.0x0.0x0.0x1', '2130706433', '017700000001', '0177.0.0.1'],
    ...[
      '127.0.0.01',
      '127.0.0.1.',
      ' 127.0.0.1',
      '127.0.0.1 ',
      '127.0.0.1\n',
      '127.0.0.1/32',
      '127.0.0.1:80',
      '１２７.0.0.1',
    ],
    ...[
      '127。0。0。1',
      '①②⑦.0.0.1',
      '0',
      '0.0.0.0',
      '00.0.0.0',
      '::',
      '0:0:0:0:0:0:0:0',
      '[::1]',
      '[::]',
      '::1%lo',
      '::1/128',
    ],
    ...['fe80::1%lo', 'fe80::1%1', '::ffff:0.0.0.0', '::ffff:0:0', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe'],
    ...['::127.0.0.1', '::ffff:0:127.0.0.1', '64:ff9b::127.0.0.1', '2002:7f00:0001::', '224.0.0.1', '239.255.255.250'],
    ...['255.255.255.255', 'ff02::1', 'ff05::1:3', '169.254.0.1', 'user@127.0.0.1', 'http://127.0.0.1'],
  ],
}

const registration = (ip_address: string, runtime_port: number) => ({
  ...{machine_name: 'evil', ip_address, runtime_version: '0', runtime_port, gpu_available: true},
  gpu_devices: [{model: 'RTX 4090', count: 1}],
})

test('T6 W1.8-3: no spelling of a forbidden address is dialled, from this machine or from another one', {
  timeout: 90_000,
}, async context => {
  need(context, 'root', 'netns')
  const lab = await networkLab({addresses: forbidden.local})
  const spellings = [...forbidden.local, ...forbidden.spelled]
  expect(spellings.length).toBeGreaterThanOrEqual(60)
  // The canary is really there: who dialled these would be seen.
  const reached: string[] = []
  for (const address of [...forbidden.local, '127.0.0.1', '0.0.0.0', '::1']) {
    if (await lab.reach(address)) reached.push(address)
  }
  expect(reached).toEqual(expect.arrayContaining(['169.254.169.254', '64:ff9b::7f00:1', '10.9.9.77', '0.0.0.0', '::1']))
  expect((await lab.connections()).length).toBe(reached.length)
  const invited = await invitation(lab)

  for (const address of spellings) {
    const local = await register(lab, '127.0.0.1', address)
    const remote = await register(lab, '10.9.9.2', address, invited)
    expect([local.status, remote.status], address).toEqual([400, 400])
    expect(local.text, address).not.toMatch(/ECONN|EHOST|canary/)
  }
  // Of others: loopback addresses; and ports of the server itself, though it may be dialled there.
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.9.9.9', '10.9.9.1', '10.9.9.3']) {
    expect((await register(lab, '10.9.9.2', address, invited)).status, address).toBe(400)
  }
  expect((await register(lab, '127.0.0.1', '127.0.0.1', {}, 8887)).status).toBe(400)
  expect(await lab.connections()).toEqual([])

  expect((await register(lab, '127.0.0.1', '::ffff:127.0.0.1')).status).toBe(201)
  expect((await register(lab, '10.9.9.2', '10.9.9.2', invited)).status).toBe(201)
  expect(await lab.connections()).toEqual(['::ffff:127.0.0.1', '::ffff:10.9.9.2'])
})

test('T25 R1 W1.8-2: registering and listing are open to this machine alone', {timeout: 60_000}, async context => {
  need(context, 'root', 'netns')
  const lab = await networkLab()
  const invited = await invitation(lab)
  const list = async (from: LabCall['from'], headers = {}) =>
    (await lab.call({from, method: 'GET', path: '/v0/nodes', headers})).status
  const admin = {authorization: `Bearer ${lab.adminToken}`}
  const proxied = {'x-forwarded-for': '198.51.100.7'}

  expect(await list('127.0.0.1')).toBe(200)
  expect(await list('127.0.0.1', proxied)).toBe(401)
  expect(await list('10.9.9.2')).toBe(401)
  expect(await list('10.9.9.2', invited)).toBe(401)
  expect(await list('10.9.9.2', {'x-api-key': lab.adminToken})).toBe(200)
  expect(await list('10.9.9.2', admin)).toBe(200)

  expect((await register(lab, '10.9.9.2', '10.9.9.2')).status).toBe(401)
  expect((await register(lab, '127.0.0.1', '127.0.0.1', proxied)).status).toBe(401)
  expect((await register(lab, '10.9.9.2', '10.9.9.2', {authorization: 'Bearer gpj_wrong'})).status).toBe(401)
  expect((await register(lab, '10.9.9.2', '10.9.9.2', admin)).status).toBe(401)
  expect(await lab.connections()).toEqual([])
  expect((await register(lab, '10.9.9.2', '10.9.9.2', {'x-api-key': invited.authorization.slice(7)})).status).toBe(201)
  expect((await register(lab, '127.0.0.1', '127.0.0.1')).status).toBe(201)
})

test('T4 W6.5-4: of all tokens and runtimes, each token beats for its own runtime alone', async () => {
  const plane = await controlPlane()
  const known = []
  for (let count = 0; count < 4; count++) known.push(await registerRuntime(plane, await standInRuntime()))
  const {nodeKey} = await plane.node('gpu-1')
  const strangers = ['', 'nt_00000000-0000-4000-8000-000000000000', nodeKey, plane.adminToken]

  for (const {token} of known) {
    for (const {id} of known) {
      const isOwn = known.some(one => one.id === id && one.token === token)
      expect(await beatRuntime(plane, {id, token})).toBe(isOwn ? 200 : 401)
    }
    expect(await beatRuntime(plane, {id: '00000000-0000-4000-8000-000000000000', token})).toBe(404)
  }
  for (const token of strangers) {
    for (const {id} of known) expect(await beatRuntime(plane, {id, token})).toBe(401)
  }
})

test('T4: a beat with a figure out of its range is refused, and changes nothing', async () => {
  const plane = await controlPlane()
  const runtime = await registerRuntime(plane, await standInRuntime())
  const before = (await plane.call('GET', '/v0/nodes')).text
  const changes = [
    ...[{cpu_usage: 101}, {cpu_usage: -1}, {cpu_usage: null}, {memory_usage: '1e3'}, {gpu_usage: 100.1}],
    ...[{active_requests: -1}, {active_requests: 1.5}, {active_requests: 4_294_967_296}, {sync_state: 'stuck'}],
    ...[{gpu_capability_score: 10_001}, {loaded_models: ['x'.repeat(257)]}, {runtime_id: 7}],
  ]

  for (const change of changes) expect(await beatRuntime(plane, runtime, change), JSON.stringify(change)).toBe(400)

  expect((await plane.call('GET', '/v0/nodes')).text).toBe(before)
})

test('T3: what an anonymous runtime says changes no node, whatever name and address it takes', async () => {
  const plane = await controlPlane()
  await plane.node('gpu-1')
  const before = await plane.ok('nodes.list', {}, {token: plane.adminToken})
  const runtime = await standInRuntime()

  const {id} = await registerRuntime(plane, runtime, {machineName: 'gpu-1', approve: false})
  await registerRuntime(plane, runtime, {machineName: 'gpu-1'})

  expect(await plane.ok('nodes.list', {}, {token: plane.adminToken})).toEqual(before)
  expect(await plane.ok('runtimes.get', {id}, {token: plane.adminToken})).toMatchObject({node: 'gpu-1'})
})

type Lab = Awaited<ReturnType<typeof networkLab>>

async function invitation(lab: Lab): Promise<{authorization: string}> {
  const reply = await lab.call({
    ...{from: '127.0.0.1', method: 'POST', path: '/gpuctl/v1/join-tokens'},
    headers: {authorization: `Bearer ${lab.adminToken}`},
    body: {uses: 5},
  })
  return {authorization: `Bearer ${JSON.parse(reply.text).secret}`}
}

function register(lab: Lab, from: LabCall['from'], address: string, headers = {}, port?: number) {
  return lab.call({
    from,
    method: 'POST',
    path: '/v0/nodes',
    headers,
    body: registration(address, port ?? lab.canaryPort - 1),
  })
}
