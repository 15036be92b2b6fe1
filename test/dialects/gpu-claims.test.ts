import {describe, expect, onTestFinished, test} from 'vitest'
import {LinkKeeper} from '../../src/link/link-keeper.ts'
import {createAgentRouter} from '../../src/link/routes.ts'
import {nodeToWire} from '../../src/server/dialects/gpu-claims/wire.ts'
import {type ControlPlane, controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {eventually} from '../support/wait.ts'
import {gpuNode, peer, world} from '../support/world.ts'

/** Requests and answers of document 004, as they stand there. */
const documented = {
  account: {username: 'newuser', password: 'password123'},
  node: {hostname: 'gpu-node-01'},
  claim: {spec: {image: 'nvidia/cuda:11.8.0-base-ubuntu22.04', resources: {gpuCount: 1}}},
  pending: {phase: 'Pending', nodeName: '', containerID: '', reason: ''},
}
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

async function withUser(plane: ControlPlane, gpuQuota: number, username = 'testuser') {
  const {password} = await plane.user(username, {gpuQuota})
  const {json} = await plane.call('POST', '/api/auth/login', {body: {username, password}})
  return json.token as string
}

const textOnly = (text: RegExp | string) =>
  expect.objectContaining({json: {error: typeof text === 'string' ? text : expect.stringMatching(text)}})

describe('W5.1: accounts', () => {
  test('W5.1-1 W5.1-2: who registers has an account with no GPU, and logs in for an hour', async () => {
    const plane = await controlPlane()

    const made = await plane.call('POST', '/api/auth/register', {body: documented.account})
    expect(made).toMatchObject({status: 201, text: ''})
    const again = await plane.call('POST', '/api/auth/register', {body: documented.account})
    expect(again).toMatchObject({status: 409, json: {error: 'There is already user newuser.'}})
    const {status, json} = await plane.call('POST', '/api/auth/login', {body: documented.account})
    expect({status, keys: Object.keys(json)}).toEqual({status: 200, keys: ['token']})
    const {exp, iat, sub} = JSON.parse(Buffer.from(json.token.split('.')[1], 'base64url').toString())
    expect({seconds: exp - iat, sub}).toEqual({seconds: 3600, sub: 'newuser'})
    const claimed = await plane.call('POST', '/api/gpu-claims', {token: json.token, body: documented.claim})
    expect(claimed).toMatchObject({
      status: 403,
      json: {error: 'The claim needs 1 GPUs; your quota of 0 leaves 0.'},
    })
  })

  test.each([
    ['no password', {username: 'ada'}, /^password: is missing/],
    ['a name with blanks', {username: 'a b', password: 'password123'}, /^username: has another form/],
    ['a short password', {username: 'ada', password: 'short'}, /^password: /],
    ['no object', ['ada'], /^body: is not an object/],
  ])('W5.1-1: %s is a 400 that names the field', async (_, body, words) => {
    const plane = await controlPlane()
    const answer = await plane.call('POST', '/api/auth/register', {body})
    expect(answer).toMatchObject({status: 400})
    expect(answer).toEqual(textOnly(words))
  })

  test('W5.1-2: a wrong password is a 401, a body that is no JSON a 400, an unknown path a 404, all in its envelope', async () => {
    const plane = await controlPlane()
    const login = (rest: object) => plane.call('POST', '/api/auth/login', rest)
    expect(await login({body: {username: 'admin', password: 'wrong-one'}})).toMatchObject({
      ...{status: 401, json: {error: 'The user name or the password is wrong.'}},
    })
    expect(await login({raw: '{'})).toMatchObject({status: 400, json: {error: expect.any(String)}})
    expect(await plane.call('GET', '/api/auth/nothing')).toMatchObject({status: 404, json: {error: expect.any(String)}})
    const method = await plane.call('PUT', '/api/auth/login')
    expect(method).toMatchObject({status: 405, headers: {allow: 'POST'}, json: {error: expect.any(String)}})
  })
})

describe('W5.1: nodes', () => {
  test('W5.1-3 R5: a node registers without an account, and gets both forms of its id and a key of its own', async () => {
    const plane = await controlPlane()

    const {status, json} = await plane.call('POST', '/api/nodes/register', {body: documented.node})

    expect({status, json}).toEqual({
      status: 201,
      json: {
        id: expect.stringMatching(uuid),
        node_id: expect.any(Number),
        node_token: expect.stringMatching(/^gpn_/),
        message: expect.stringContaining('approval'),
        timestamp: expect.stringMatching(time),
      },
    })
    for (const id of [json.id, json.node_id]) {
      const answer = await plane.call('GET', `/api/nodes/${id}/status`, {token: plane.adminToken})
      expect(answer).toMatchObject({status: 409, json: {error: 'Node gpu-node-01 is pending.'}})
    }
    expect(await plane.call('POST', '/api/nodes/register', {body: {}})).toMatchObject({
      ...{status: 400, json: {error: expect.stringMatching(/^hostname: is missing/)}},
    })
  })

  test('T4: a node that waits beats for itself, opens no link and gets no work; once approved its key is a node key', async () => {
    const plane = await controlPlane()
    const {json: node} = await plane.call('POST', '/api/nodes/register', {body: documented.node})
    const token = node.node_token as string
    const beat = (sequence: number) => plane.ask('nodes.beat', {bootId: 'b', sequence, cpuPercent: 7}, {token})
    const link = () => plane.call('GET', '/gpuctl/v1/link', {token})

    expect(await beat(1)).toMatchObject({status: 200})
    expect(await link()).toMatchObject({status: 403, json: {error: {code: 'node_not_approved'}}})
    const claim = await plane.ok<{id: string}>(
      'claims.submit',
      {image: 'host', gpus: {count: 0}},
      {token: plane.adminToken},
    )
    expect(await plane.ok('claims.explain', {id: claim.id}, {token: plane.adminToken})).toMatchObject({nodes: []})
    await plane.ok('nodes.approve', {node: node.id}, {token: plane.adminToken})

    expect(await beat(2)).toMatchObject({status: 200})
    expect(await link()).toMatchObject({status: 400, json: {error: {details: {field: 'Upgrade'}}}})
    expect(await plane.ask('auth.whoami', {}, {token})).toMatchObject({status: 401})
    expect(await plane.ok('nodes.get', {id: node.id}, {token: plane.adminToken})).toMatchObject({status: 'online'})
  })

  test('a join token of ours admits the machine at once; another text in its place means nothing', async () => {
    const plane = await controlPlane()
    const invited = {uses: 1, autoApprove: true}
    const {secret} = await plane.ok<{secret: string}>('joinTokens.create', invited, {token: plane.adminToken})
    const register = (bootstrap_token: string) =>
      plane.call('POST', '/api/nodes/register', {body: {...documented.node, bootstrap_token, machine_id: 'm-1'}})

    const {json: first} = await register(secret)
    const used = await register(secret)
    const {json: other} = await register('frp-shared-secret')

    const states = await plane.call('GET', '/api/nodes', {token: plane.adminToken})
    expect(states.json.map(({id, status}: {id: string; status: string}) => [id, status])).toEqual([
      [first.id, 'Registering'],
      [other.id, 'Registering'],
    ])
    expect(used).toMatchObject({status: 401, json: {error: expect.any(String)}})
    expect(await plane.ok('nodes.get', {id: first.id}, {token: plane.adminToken})).toMatchObject({admission: 'active'})
  })

  test('W5.1-4 W5.5: the status of a node is what its agent measures, by both its ids; 401, 404, 409 in words', async () => {
    const plane = await controlPlane()
    await simulatedFleet(plane, {nodes: 1, gpus: 2})
    const token = await withUser(plane, 0)
    const [node] = (await plane.call('GET', '/api/nodes', {token})).json
    expect(node).toMatchObject({status: 'Online', hostname: expect.any(String), gpus_free: 2})

    const ask = (id: string | number, rest: object = {token}) => plane.call('GET', `/api/nodes/${id}/status`, rest)
    const {status, json} = await ask(node.node_id)
    expect({status, json}).toEqual({
      status: 200,
      json: {
        node_id: node.id,
        cpu_usage_percent: expect.any(Number),
        memory_usage_percent: expect.any(Number),
        gpus: [0, 1].map(id => ({
          ...{id, name: expect.any(String), uuid: expect.any(String), busy: expect.any(Boolean)},
          ...{temperature_c: expect.any(Number), usage_percent: expect.any(Number)},
          ...{memory_total_mb: expect.any(Number), memory_used_mb: expect.any(Number)},
        })),
        system: {
          ...{cpu_usage_percent: expect.any(Number), memory_usage_percent: expect.any(Number)},
          ...{memory_total_mb: expect.any(Number), memory_used_mb: expect.any(Number)},
          ...{disk_usage_percent: expect.any(Number), load_average: expect.any(Number), uptime: expect.any(Number)},
        },
      },
    })
    expect((await ask(node.id)).json.node_id).toBe(node.id)
    expect(await ask(node.id, {})).toMatchObject({status: 401, json: {error: 'Log in first.'}})
    expect(await ask('a1b2c3d4-e5f6-7890-1234-567890abcdef')).toMatchObject({
      status: 404,
      json: {error: expect.any(String)},
    })
    const {nodeId} = await plane.node('silent')
    expect(await ask(nodeId)).toMatchObject({status: 409, json: {error: 'Node silent is joining.'}})
  })

  test('W5.1-4: an agent that does not answer as it should is a 502', async () => {
    const plane = await controlPlane()
    const {nodeId, nodeKey} = await plane.node('odd')
    const keeper = new LinkKeeper({
      url: `${plane.url}/gpuctl/v1/link`,
      token: nodeKey,
      handler: createAgentRouter({'GET /reports': call => void call.respondStream(200, 'application/x-ndjson')}),
      onState: () => {},
    })
    onTestFinished(() => keeper.stop())
    keeper.start()
    const ask = () => plane.call('GET', `/api/nodes/${nodeId}/status`, {token: plane.adminToken})

    await eventually(async () => (await ask()).status !== 409)

    expect(await ask()).toMatchObject({status: 502, json: {error: expect.stringContaining('Node odd could not do it')}})
  })

  test('the pings tell whose token it is', async () => {
    const plane = await controlPlane()
    const token = await withUser(plane, 0)
    const ping = async (path: string, own?: string) => (await plane.call('GET', path, {token: own})).status
    expect(await ping('/api/nodes/ping')).toBe(401)
    expect(await ping('/api/nodes/ping', token)).toBe(200)
    expect(await ping('/api/admin/ping', token)).toBe(403)
    expect(await ping('/api/admin/ping', plane.adminToken)).toBe(200)
  })
})

describe('W5.1: claims', () => {
  test('W5.1-5: a claim is accepted as the document shows it', async () => {
    const plane = await controlPlane()
    const token = await withUser(plane, 2)

    const {status, json} = await plane.call('POST', '/api/gpu-claims', {token, body: documented.claim})

    const {nodeId, reason, ...shown} = json.status
    expect({status, json: {...json, status: shown}}).toEqual({
      status: 202,
      json: {
        id: expect.stringMatching(uuid),
        user_id: expect.any(Number),
        spec: documented.claim.spec,
        status: {phase: 'Pending', nodeName: '', containerID: ''},
        accessUrl: '',
        created_at: expect.stringMatching(time),
        updated_at: expect.stringMatching(time),
      },
    })
    expect({nodeId, reason}).toEqual({nodeId: '', reason: expect.stringMatching(/^(|Unschedulable: .+)$/)})
    expect(json.user_id).toBeGreaterThan(1)
  })

  test('W6.5-6: an administrator claims, flat and wrapped', async () => {
    const plane = await controlPlane()
    for (const body of [documented.claim, documented.claim.spec]) {
      const {status, json} = await plane.call('POST', '/api/gpu-claims', {token: plane.adminToken, body})
      expect({status, user: json.user_id, spec: json.spec}).toEqual({status: 202, user: 1, spec: documented.claim.spec})
    }
  })

  test('W5.1-6 W5.2-1 W5.2-2 W5.5: claims wait, run on a node that is named, and are given back; by uuid and by number; of one phase', async () => {
    const plane = await controlPlane()
    await simulatedFleet(plane, {nodes: 1, gpus: 1})
    const token = await withUser(plane, 5)
    const submit = async () => (await plane.call('POST', '/api/gpu-claims', {token, body: documented.claim})).json
    const get = async (id: string) => (await plane.call('GET', `/api/gpu-claims/${id}`, {token})).json
    const {id: first} = await submit()
    const running = await eventually(async () => {
      const seen = await get(first)
      return seen.status.phase === 'Running' && seen
    })
    const {id: second} = await submit()

    expect(running.status).toMatchObject({nodeName: expect.stringMatching(/^sim/), nodeId: expect.stringMatching(uuid)})
    expect(running.status.containerID).not.toBe('')
    expect(await plane.call('GET', new URL(running.accessUrl).pathname, {token})).toMatchObject({status: 200})
    const list = async (query = '') => (await plane.call('GET', `/api/gpu-claims${query}`, {token})).json
    expect((await list()).map(({id}: {id: string}) => id)).toEqual([second, first])
    expect((await list('?phase=Pending')).map(({id}: {id: string}) => id)).toEqual([second])
    expect(await plane.call('GET', '/api/gpu-claims?phase=Waiting', {token})).toMatchObject({status: 400})
    const {number} = await plane.ok<{number: number}>('claims.get', {id: first}, {token})
    expect((await get(String(number))).id).toBe(first)
    const given = await plane.call('DELETE', `/api/gpu-claims/${first}`, {token})
    expect(given).toMatchObject({status: 200, json: {id: first, status: {phase: 'Released'}}})
    await eventually(async () => (await get(second)).status.phase === 'Running')
  })

  test('T18: the claims of others look absent', async () => {
    const plane = await controlPlane()
    const [own, foreign] = [await withUser(plane, 5), await withUser(plane, 5, 'mallory')]
    const {json} = await plane.call('POST', '/api/gpu-claims', {token: own, body: documented.claim})
    for (const method of ['GET', 'DELETE']) {
      const absent = await plane.call(method, '/api/gpu-claims/a1b2c3d4-e5f6-7890-1234-567890abcdef', {token: foreign})
      const theirs = await plane.call(method, `/api/gpu-claims/${json.id}`, {token: foreign})
      expect(theirs.status).toBe(404)
      expect(theirs.text.replace(json.id, '')).toBe(absent.text.replace('a1b2c3d4-e5f6-7890-1234-567890abcdef', ''))
    }
    expect((await plane.call('GET', '/api/gpu-claims', {token: foreign})).json).toEqual([])
    expect((await plane.call('GET', '/api/gpu-claims', {token: plane.adminToken})).json).toMatchObject([{id: json.id}])
  })

  test.each([
    ['nothing', undefined, 400, /^spec: is missing/],
    ['no image', {spec: {resources: {gpuCount: 1}}}, 400, /^spec.image: is missing\. It takes an image/],
    ['no count', {spec: {image: 'cuda', resources: {}}}, 400, /^spec.resources.gpuCount: is missing/],
    [
      'half a GPU',
      {spec: {image: 'cuda', resources: {gpuCount: 0.5}}},
      400,
      /^spec.resources.gpuCount: must be integer\. It takes an integer\.$/,
    ],
    ['fewer than none', {image: 'cuda', resources: {gpuCount: -1}}, 400, /^resources.gpuCount: /],
    ['an image with blanks', {image: 'cuda rm', resources: {gpuCount: 1}}, 400, /^image: has another form/],
    ['a bare image', {image: 'cuda'}, 400, /^resources: is missing/],
    ['too much', {image: 'cuda', resources: {gpuCount: 3}}, 403, /needs 3 GPUs; your quota of 2 leaves 2/],
  ])('W5.1-5: a claim for %s is refused with its field or its figures', async (_, body, status, words) => {
    const plane = await controlPlane()
    const token = await withUser(plane, 2)
    const answer = await plane.call('POST', '/api/gpu-claims', {token, ...(body ? {body} : {})})
    expect(answer.status).toBe(status)
    expect(answer).toEqual(textOnly(words))
  })

  test('W5.1-5: without a good token 401, as a viewer 403', async () => {
    const plane = await controlPlane()
    const {password} = await plane.user('eve', {role: 'viewer'})
    const token = await plane.login('eve', password)
    const submit = (rest: object) => plane.call('POST', '/api/gpu-claims', {body: documented.claim, ...rest})
    expect(await submit({})).toMatchObject({status: 401, json: {error: 'Log in first.'}})
    expect(await submit({token: 'x'})).toMatchObject({status: 401, json: {error: 'The token is not valid here.'}})
    expect(await submit({token})).toMatchObject({
      ...{status: 403, json: {error: 'This needs the role user; you are viewer.'}},
    })
  })
})

test('W5.2-3 W5.2-4: the quota is the sum of all that is not over; what is given back or done counts no more', async () => {
  const {services, caller, admin, settle, agent} = await world({nodes: [gpuNode('one', 4)]})
  await services.quotas.set({user: 'alice', gpus: 3}, admin)
  const ask = (count: number) => services.claims.submit({image: 'cuda', gpus: {count}, restart: 'never'}, caller)
  const over = (asked: number, left: number) => ({code: 'claim_over_quota', details: {asked, quota: 3, left}})
  const [given, done] = [await ask(1), await ask(1), await ask(1)]
  await settle()

  await expect(ask(1)).rejects.toMatchObject(over(1, 0))
  expect(await ask(0)).toMatchObject({status: {phase: 'Pending'}})
  await services.claims.cancel({id: given.id}, caller)
  await agent('one').exit(done.name, 0)
  await settle()

  expect((await services.claims.get({id: given.id}, caller)).status.phase).toBe('Released')
  expect((await services.claims.get({id: done.id}, caller)).status).toMatchObject({phase: 'Completed', exitCode: 0})
  await expect(ask(3)).rejects.toMatchObject(over(3, 2))
  expect(await ask(2)).toMatchObject({spec: {gpus: {count: 2}}})
})

test('W5.3: a node is Registering until its agent speaks, Online for a minute after, then Offline', async () => {
  const {services, admin, clock} = await world()
  const {id, nodeKey} = await services.nodes.register({hostname: 'gpu-1'}, peer)
  const word = async () => nodeToWire(await services.nodes.get({id}, admin)).status
  const beat = (sequence: number) => services.nodes.beat(id, {bootId: 'b', sequence})

  expect(await word()).toBe('Registering')
  await beat(1)
  expect(await word()).toBe('Registering')
  clock.advance(61_000)
  await services.nodes.approve({node: id}, admin)
  expect(await services.nodes.authenticate(nodeKey)).toMatchObject({isApproved: true})
  await beat(2)
  expect(await word()).toBe('Online')
  clock.advance(61_000)
  expect(await word()).toBe('Offline')
  await beat(3)
  expect(await word()).toBe('Online')
  clock.advance(301_000)
  expect(await word()).toBe('Offline')
})

test('T4: a node that nobody approved in time is forgotten, and its key with it', async () => {
  const {services, admin, clock} = await world()
  const {id, nodeKey} = await services.nodes.register({hostname: 'gpu-1'}, peer)
  expect(await services.nodes.authenticate(nodeKey)).toMatchObject({id, isApproved: false})

  clock.advance(16 * 60_000)
  await services.server.maintain()

  await expect(services.nodes.authenticate(nodeKey)).rejects.toMatchObject({code: 'token_invalid'})
  expect(await services.nodes.list({}, admin)).toEqual([])
})
