import {describe, expect, onTestFinished, test} from 'vitest'
import {Agent} from '../../../src/agent/agent.ts'
import {LocalContainers} from '../../../src/agent/local-api/containers.ts'
import {LocalApi} from '../../../src/agent/local-api/server.ts'
import {stateInMemory} from '../../../src/agent/state-file.ts'
import {FakeCollector} from '../../../src/metrics/fake.ts'
import {parseFakeGpus} from '../../../src/metrics/fake-gpus.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {createLogger} from '../../../src/platform/logger.ts'
import {FakeDriver} from '../../../src/runtime/fake.ts'
import {callLocalApi} from '../../support/local-api.ts'
import {hostSample} from './node.ts'

const token = 'gpa_secret'
const logger = createLogger({level: 'silent'})

/** A simulated machine with two cards and its local API. */
async function machine({owner, gpus = '2'}: {owner?: string; gpus?: string} = {}) {
  const clock = new ManualClock()
  const driver = new FakeDriver({serverId: 'standalone', clock})
  const collector = new FakeCollector({gpus: parseFakeGpus(gpus), nodeSeed: 'test', now: () => clock.now()})
  const agent = new Agent({
    ...{nodeId: 'n1', driver, gpus: collector, clock, logger, version: '0'},
    host: {sample: async () => hostSample},
    stateStore: stateInMemory(),
  })
  await agent.start()
  const containers = new LocalContainers({agent, nodeId: 'n1', sharedFolders: ['/data'], owner})
  const api = new LocalApi({agent, containers, token, logger})
  const url = await api.listen({host: '127.0.0.1', port: 0})
  onTestFinished(async () => {
    await api.close()
    await agent.stop()
  })
  const call = (method: string, path: string, rest: Parameters<typeof callLocalApi>[3] = {}) =>
    callLocalApi({url, token}, method, path, rest)
  const create = (claim_id: string, rest: object = {}) =>
    call('POST', '/api/v1/containers', {body: {claim_id, image: 'cuda', gpu_count: 1, ...rest}})
  return {agent, collector, driver, url, call, create}
}

describe('W5.4: containers of the local API', () => {
  test('W5.4-1 W5.4-2 W5.4-3: one is created with its cards, shown with all that it is, and removed', async () => {
    const {call, create, driver} = await machine()

    const made = await create('c1', {
      command: ['sleep', '60'],
      env_vars: ['A=1', 'B=x=y'],
      port_mappings: [{host_port: 18_888, container_port: 8888, protocol: 'tcp'}],
      volumes: {cache: '/cache', '/data/sets': '/sets'},
      working_dir: '/work',
    })

    expect(made).toMatchObject({status: 201, json: {container_id: expect.stringMatching(/^[0-9a-f]{64}$/)}})
    const {container_id: id} = made.json
    const shown = {
      ...{id, claim_id: 'c1', image: 'cuda', status: 'running', gpu_ids: [0]},
      ports: {'8888/tcp': '0.0.0.0:18888'},
      created: expect.any(Number),
      started: expect.any(Number),
      labels: expect.objectContaining({
        ...{'utopia.claim_id': 'c1', 'utopia.gpu_ids': '0', 'utopia.gpu_count': '1'},
        ...{'utopia.managed': 'true', 'utopia.node_type': 'gpu'},
      }),
    }
    expect(await call('GET', `/api/v1/containers/${id}`)).toMatchObject({status: 200, json: shown})
    expect((await call('GET', '/api/v1/containers')).json).toEqual([shown])
    expect(driver.host.all()[0]?.spec).toMatchObject({
      ...{name: 'utopia-claim-c1', command: ['sleep', '60'], env: {A: '1', B: 'x=y'}, workingDir: '/work'},
      ...{restart: 'unless-stopped', volumes: [{name: 'cache', path: '/cache'}]},
      folders: [{source: '/data/sets', path: '/sets'}],
    })
    expect(await call('DELETE', `/api/v1/containers/${id}`)).toEqual({status: 204, text: '', json: undefined})
    expect(await call('GET', `/api/v1/containers/${id}`)).toMatchObject({
      ...{status: 404, json: {code: 'container_not_found', error: expect.any(String)}},
    })
  })

  test('W5.4-1: no card is given twice, however many ask at once; what is missing is said in figures', async () => {
    const {create, call} = await machine({gpus: '3'})

    const answers = await Promise.all(Array.from({length: 9}, (_, index) => create(`c${index}`)))

    const made = answers.filter(({status}) => status === 201)
    expect(made).toHaveLength(3)
    for (const {status, json} of answers.filter(one => one.status !== 201)) {
      expect({status, json}).toEqual({
        status: 409,
        json: {
          error: '1 GPUs are wanted and 0 are free.',
          code: 'insufficient_gpus',
          details: {requested: 1, available: 0},
        },
      })
    }
    const {json} = await call('GET', '/api/v1/containers')
    expect(json.flatMap((one: {gpu_ids: number[]}) => one.gpu_ids).sort()).toEqual([0, 1, 2])
    expect(await create('cpu-only', {gpu_count: 0})).toMatchObject({status: 201})
  })

  test('a claim has one container; one that cannot be made leaves nothing, and its cards are free', async () => {
    const {create, call, driver} = await machine()
    const {json: first} = await create('c1')
    expect(await create('c1')).toMatchObject({
      ...{status: 409, json: {code: 'claim_exists', details: {container_id: first.container_id}}},
    })
    expect(await create('c2', {image: 'missing/image'})).toMatchObject({
      ...{status: 500, json: {code: 'container_creation_failed', details: {reason: 'image_missing'}}},
    })
    driver.host.fail('start', 'failed')
    expect(await create('c2')).toMatchObject({status: 500, json: {details: {reason: 'failed'}}})
    driver.host.fail('start', undefined)
    expect((await call('GET', '/api/v1/containers')).json).toHaveLength(1)
    expect(await create('c2')).toMatchObject({status: 201})
  })

  test.each([
    ['no JSON', {raw: '{'}, 'body'],
    ['no object', {body: []}, 'body'],
    ['no claim', {body: {image: 'a', gpu_count: 1}}, 'claim_id'],
    ['a claim that is a path', {body: {claim_id: '../x', image: 'a', gpu_count: 1}}, 'claim_id'],
    ['no image', {body: {claim_id: 'a', gpu_count: 1}}, 'image'],
    ['no count', {body: {claim_id: 'a', image: 'a'}}, 'gpu_count'],
    ['half a card', {body: {claim_id: 'a', image: 'a', gpu_count: 0.5}}, 'gpu_count'],
    [
      'a port above all',
      {body: {...ok(), port_mappings: [{container_port: 70_000}]}},
      'port_mappings[0].container_port',
    ],
    [
      'another protocol',
      {body: {...ok(), port_mappings: [{container_port: 1, protocol: 'sctp'}]}},
      'port_mappings[0].protocol',
    ],
    ['a variable without a value', {body: {...ok(), env_vars: ['A']}}, 'env_vars'],
    ['a command that is a text', {body: {...ok(), command: 'ls'}}, 'command'],
    ['a relative folder', {body: {...ok(), working_dir: 'work'}}, 'working_dir'],
    ['a volume at a relative place', {body: {...ok(), volumes: {cache: 'cache'}}}, 'volumes.cache'],
    ['a folder that is not shared', {body: {...ok(), volumes: {'/etc': '/host'}}}, 'volumes'],
    ['a way out of a shared folder', {body: {...ok(), volumes: {'/data/../etc': '/host'}}}, 'volumes'],
    ['the name of a shared folder as beginning', {body: {...ok(), volumes: {'/database': '/host'}}}, 'volumes'],
  ])('W5.4-1: %s is a 400 that names the field', async (_, rest, field) => {
    const {call, driver} = await machine()
    const {status, json} = await call('POST', '/api/v1/containers', rest)
    expect({status, field: json.details.field, keys: Object.keys(json)}).toEqual({
      ...{status: 400, field, keys: ['error', 'code', 'details']},
    })
    expect(driver.host.all()).toEqual([])
  })

  test('a body beyond 256 KiB is cut off', async () => {
    const {call} = await machine()
    const body = {...ok(), env_vars: [`A=${'x'.repeat(300_000)}`]}
    expect(await call('POST', '/api/v1/containers', {body})).toMatchObject({status: 413, json: {code: 'too_large'}})
  })

  test('where a control server decides, nothing is made or removed, and everything is shown', async () => {
    const {call, create, driver} = await machine({owner: 'https://control'})
    const labels = {'gpuctl.node': 'n1', 'gpuctl.claim': 'claim-1', 'gpuctl.gpus': '1'}
    const spec = {name: 'gpuctl-claim-1-1', image: 'cuda', env: {}, labels, gpus: []}
    const {containerId} = await driver.create(spec)
    await driver.create({...spec, name: 'of another node', labels: {...labels, 'gpuctl.node': 'n2'}})

    expect(await create('c1')).toMatchObject({
      status: 409,
      json: {code: 'joined', details: {server: 'https://control'}},
    })
    expect(await call('DELETE', `/api/v1/containers/${containerId}`)).toMatchObject({
      status: 409,
      json: {code: 'joined'},
    })
    expect((await call('GET', '/api/v1/containers')).json).toMatchObject([
      {id: containerId, claim_id: 'claim-1', gpu_ids: [1], status: 'created'},
    ])
  })
})

describe('W5.4: readings of the local API', () => {
  test('W5.4-4: the metrics are those of the document; a card that was given away is busy though idle', async () => {
    const {call, create, agent} = await machine()
    expect((await call('GET', '/api/v1/metrics')).json).toEqual(agent.metrics('unknown'))
    await create('c1')

    const {status, json} = await call('GET', '/api/v1/metrics?node_id=7')

    expect({status, keys: Object.keys(json), id: json.node_id}).toEqual({
      ...{status: 200, keys: ['node_id', 'cpu_usage_percent', 'memory_usage_percent', 'gpus', 'system'], id: '7'},
    })
    expect(json.gpus.map(({id, busy}: {id: number; busy: boolean}) => [id, busy])).toEqual([
      [0, true],
      [1, false],
    ])
    expect(json.memory_usage_percent).toBe(1)
  })

  test('W5.4-5: health is open to all, and a lost driver is a 503', async () => {
    const {url, agent, collector} = await machine()
    expect(await callLocalApi({url}, 'GET', '/health')).toMatchObject({
      ...{status: 200, json: {status: 'healthy', timestamp: expect.stringMatching(/Z$/)}},
    })
    collector.sample = async () => ({
      state: 'lost',
      reason: 'Driver/library version mismatch',
      driverVersion: null,
      gpus: [],
    })
    ;(agent.clock as ManualClock).advance(10_000)
    await expect.poll(async () => (await callLocalApi({url}, 'GET', '/health')).status).toBe(503)
    expect((await callLocalApi({url}, 'GET', '/health')).json.error).toBe('Driver/library version mismatch')
  })

  test.each(['none', 'Bearer', 'Bearer wrong', 'Basic Z3BhX3NlY3JldA==', `Bearer ${token}x`, token, 'Bearer a b'])(
    'T20: without its token nothing is told or done (%s)',
    async authorization => {
      const {url, driver} = await machine()
      const headers = authorization === 'none' ? undefined : {authorization}
      for (const [method, path] of [
        ['GET', '/api/v1/metrics'],
        ['GET', '/api/v1/containers'],
        ['POST', '/api/v1/containers'],
        ['DELETE', '/api/v1/containers/x'],
        ['GET', '/api/v1/nothing'],
        ['PUT', '/api/v1/containers'],
      ] as const) {
        const body = method === 'POST' ? ok() : undefined
        expect(await callLocalApi({url}, method, path, {body, headers})).toMatchObject({
          ...{status: 401, json: {code: 'unauthorized', error: expect.any(String)}},
        })
      }
      expect(driver.host.all()).toEqual([])
    },
  )

  test('unknown paths and methods are answered in its words', async () => {
    const {call} = await machine()
    expect(await call('GET', '/api/v1/nothing')).toMatchObject({status: 404, json: {code: 'not_found'}})
    expect(await call('PUT', '/api/v1/containers')).toMatchObject({
      ...{status: 405, json: {code: 'method_not_allowed', details: {allowed: 'GET, POST'}}},
    })
    expect(await call('GET', '/api/v1/containers/%zz')).toMatchObject({status: 400, json: {details: {field: 'path'}}})
    expect(await call('GET', '/api/v1/containers/')).toMatchObject({status: 200})
  })
})

function ok() {
  return {claim_id: 'a', image: 'cuda', gpu_count: 1}
}
