import {once} from 'node:events'
import {connect} from 'node:net'
import {hostname} from 'node:os'
import {describe, expect, onTestFinished, test, vi} from 'vitest'
import {NodeReadings} from '../../src/server/node-readings.ts'
import {eventually} from '../support/wait.ts'
import {EventReader} from '../unit/server/event-reader.ts'
import {startWorld, tokens} from '../unit/server/fixture.ts'
import {type FleetPlane, fleetPlane} from './fleet-plane.ts'

const all = '/metrics/nodes/stats/stream'
const second = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
const load = {cpu_usage: 12, disk_usage: 51, active_backups: 0}

/** Shows a node of the document beside the server itself. */
async function remoteNode(plane: FleetPlane) {
  const node = await plane.scriptedNode('api.zimpricecheck.com')
  await node.report(load)
  return node
}

async function nodeAdmin(plane: FleetPlane, ...nodes: number[]) {
  const {password} = await plane.user('ops', {role: 'node_admin'})
  const admin = {token: plane.adminToken}
  for (const node of nodes) await plane.server.ok('users.assign', {id: 'ops', node: String(node)}, admin)
  return (await plane.login('ops', password)).json.access_token as string
}

describe('the stream of all nodes', () => {
  test('W4.1-12 W4.3: begins with a comment, then a snapshot at once as in the document, with the server itself', async () => {
    const plane = await fleetPlane()
    const {id} = await remoteNode(plane)
    await plane.call('POST', '/nodes/join-request', {body: {hostname: 'waits'}})
    // The processor's use is the mean between two readings.
    await eventually(async () => {
      const first = await plane.stream(all)
      const [{data}] = (await first.atLeast(1)) as [{data: {nodes: {cpu_percent: number | null}[]}}]
      first.leave()
      return typeof data.nodes.at(-1)?.cpu_percent === 'number'
    })

    const reader = await plane.stream(`${all}?interval=5`)
    const [event] = await reader.atLeast(1)

    expect(reader.text).toMatch(/^: connected\n\ndata: \{.*\}\n\n$/)
    expect(reader.response.headers).toMatchObject({
      ...{'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no'},
    })
    expect(event?.data).toEqual({
      timestamp: second,
      nodes: [
        {
          ...{id, hostname: 'api.zimpricecheck.com', status: 'online', is_master: false},
          ...{cpu_percent: 12, memory_percent: null, disk_percent: 51, uptime_seconds: null},
          ...{active_backups: 0, last_seen: second},
        },
        {
          ...{id: 0, hostname: hostname(), status: 'online', is_master: true},
          ...{cpu_percent: expect.any(Number), memory_percent: expect.any(Number), disk_percent: expect.any(Number)},
          ...{uptime_seconds: expect.any(Number), active_backups: 0, last_seen: null},
        },
      ],
    })
    const keys = ['id', 'hostname', 'status', 'is_master', 'cpu_percent', 'memory_percent', 'disk_percent']
    expect(Object.keys(event?.data.nodes[0])).toEqual([...keys, 'uptime_seconds', 'active_backups', 'last_seen'])
  })

  test('W4.1-12: comes at every interval of 1 to 60 seconds, and no other is taken', async () => {
    const plane = await fleetPlane()
    const [quick, slow] = [await plane.stream(`${all}?interval=1`), await plane.stream(`${all}/?interval=60`)]

    await quick.atLeast(3)

    expect(slow.events).toHaveLength(1)
    for (const interval of ['0', '61', '1.5', 'x']) {
      const reply = await plane.asAdmin('GET', `${all}?interval=${interval}`)
      expect([interval, reply.status, reply.json.detail[0].loc]).toEqual([interval, 422, ['query', 'interval']])
    }
  })

  test('W4.3 W6.4-1: a node that never reported is offline; one that is quiet for five minutes is stale', async () => {
    vi.useFakeTimers({toFake: ['Date'], shouldAdvanceTime: false})
    onTestFinished(() => void vi.useRealTimers())
    const plane = await fleetPlane()
    await remoteNode(plane)
    await plane.scriptedNode('silent')
    const statuses = async () => {
      const reader = await plane.stream(all)
      const [{data}] = (await reader.atLeast(1)) as [{data: {nodes: {hostname: string; status: string}[]}}]
      reader.leave()
      return Object.fromEntries(data.nodes.map(node => [node.hostname, node.status]))
    }

    expect(await statuses()).toMatchObject({'api.zimpricecheck.com': 'online', silent: 'offline'})
    vi.setSystemTime(Date.now() + 299_000)
    expect(await statuses()).toMatchObject({'api.zimpricecheck.com': 'online'})
    vi.setSystemTime(Date.now() + 2_000)
    expect(await statuses()).toMatchObject({'api.zimpricecheck.com': 'stale', silent: 'offline'})
  })

  test('W4.1-12 T18: a node_admin sees his nodes alone, and what is given or taken shows while the stream is open', async () => {
    const plane = await fleetPlane()
    const [own, other] = [await remoteNode(plane), await plane.scriptedNode('other')]
    const token = await nodeAdmin(plane, own.id)
    const reader = await plane.stream(`${all}?interval=1&token=${token}`, {})
    const shown = () => reader.events.at(-1)?.data.nodes.map(({id}: {id: number}) => id)
    await reader.atLeast(1)
    expect(shown()).toEqual([own.id])

    const admin = {token: plane.adminToken}
    await plane.server.ok('users.assign', {id: 'ops', node: String(other.id)}, admin)
    await eventually(() => shown().length === 2)
    await plane.server.ok('users.unassign', {id: 'ops', node: String(own.id)}, admin)
    await eventually(() => shown().length === 1)
    expect(shown()).toEqual([other.id])

    const {password} = await plane.user('ann')
    const low = (await plane.login('ann', password)).json.access_token
    const refused = await plane.call('GET', `${all}?token=${low}`)
    expect([refused.status, refused.json]).toEqual([403, {detail: "The user doesn't have enough privileges"}])
  })

  test('W6.1-6 T8: the token may stand in the query of these routes alone; a ticket opens one stream; no log has them', async () => {
    const plane = await fleetPlane()
    const {id} = await remoteNode(plane)
    const token = await nodeAdmin(plane, id)
    const single = `/metrics/nodes/${id}/stats/stream`
    for (const path of [all, single]) await (await plane.stream(`${path}?token=${token}`, {})).atLeast(1)

    const refused = async (path: string) => {
      const {status, json} = await plane.call('GET', path)
      return [status, json]
    }
    expect(await refused(all)).toEqual([401, {detail: 'Not authenticated'}])
    expect(await refused(`${all}?token=${token}x`)).toEqual([401, {detail: 'Could not validate credentials'}])
    expect(await refused(`/nodes/?token=${token}`)).toEqual([401, {detail: 'Not authenticated'}])
    const {secret} = await plane.server.ok<{secret: string}>('tokens.create', {name: 'ci'}, {token})
    expect(await refused(`${all}?token=${secret}`)).toEqual([401, {detail: 'Not authenticated'}])

    const path = `/api/v1${all}`
    const {ticket} = await plane.server.ok<{ticket: string}>('auth.streamTicket', {path}, {token})
    expect(await refused(`${single}?token=${ticket}`)).toEqual([401, {detail: 'Could not validate credentials'}])
    const again = await plane.server.ok<{ticket: string}>('auth.streamTicket', {path}, {token})
    await (await plane.stream(`${all}?token=${again.ticket}`, {})).atLeast(1)
    expect(await refused(`${all}?token=${again.ticket}`)).toEqual([401, {detail: 'Could not validate credentials'}])

    await plane.stop()
    const log = plane.log()
    expect(log).toContain(all)
    for (const canary of [token, secret, ticket, again.ticket]) expect(log).not.toContain(canary)
  })

  test('W4.3: the stream ends when its token does, to the second', async () => {
    vi.useFakeTimers({toFake: ['Date'], shouldAdvanceTime: false})
    onTestFinished(() => void vi.useRealTimers())
    const plane = await fleetPlane()
    const token = await nodeAdmin(plane)
    vi.setSystemTime(Date.now() + 1800_000 - 1_500)
    const reader = await plane.stream(`${all}?interval=1&token=${token}`, {})
    await reader.atLeast(1)
    expect(reader.ended).toBe(false)

    await reader.end()
    expect(reader.events.length).toBeLessThan(4)
    vi.setSystemTime(Date.now() + 60_000)
    expect((await plane.call('GET', `${all}?token=${token}`)).status).toBe(401)
  })
})

describe('the stream of one node', () => {
  test('W4.1-13 W4.3: is flat, tells of a remote node what is known of it, and of the server itself what it is', async () => {
    const plane = await fleetPlane()
    const {id} = await remoteNode(plane)
    const silent = await plane.scriptedNode('silent')
    const first = async (node: number) => {
      const reader = await plane.stream(`/metrics/nodes/${node}/stats/stream`)
      const [event] = await reader.atLeast(1)
      reader.leave()
      return event?.data
    }

    expect(await first(id)).toEqual({
      ...{timestamp: second, id, hostname: 'api.zimpricecheck.com', status: 'online', is_master: false},
      ...{cpu_percent: 12, memory_percent: null, disk_percent: 51, uptime_seconds: null, active_backups: 0},
      ...{last_seen: second, network: {bytes_recv: null, bytes_sent: null}, is_stale: false},
    })
    expect(await first(silent.id)).toEqual({
      ...{timestamp: second, id: silent.id, hostname: 'silent', status: 'offline', is_master: false, last_seen: null},
    })
    expect(await first(0)).toMatchObject({
      ...{id: 0, hostname: hostname(), status: 'online', is_master: true, last_seen: null},
      network: {bytes_recv: expect.any(Number), bytes_sent: expect.any(Number)},
    })
  })

  test('W4.1-13: the node on the server’s own machine is the master', async () => {
    const plane = await fleetPlane()
    const {id} = await plane.scriptedNode(hostname())

    const reader = await plane.stream(all)
    const [event] = await reader.atLeast(1)

    expect(event?.data.nodes).toMatchObject([{id, hostname: hostname(), is_master: true, last_seen: null}])
  })

  test('W4.1-13 T18: a foreign, a waiting and an absent node are told apart as in the document', async () => {
    const plane = await fleetPlane()
    const [own, foreign] = [await remoteNode(plane), await plane.scriptedNode('foreign')]
    const asked = (await plane.call('POST', '/nodes/join-request', {body: {hostname: 'waits'}})).json
    const token = await nodeAdmin(plane, own.id)
    const status = async (node: number | string, asker: string) =>
      (await plane.call('GET', `/metrics/nodes/${node}/stats/stream`, {token: asker})).status

    expect(await status(foreign.id, token)).toBe(403)
    expect(await status(0, token)).toBe(403)
    expect(await status(4711, token)).toBe(404)
    expect(await status(asked.request_id, plane.adminToken)).toBe(404)
    expect(await status('x', plane.adminToken)).toBe(422)
  })

  test('ends when the node is taken from its administrator, and when it is deleted', async () => {
    const plane = await fleetPlane()
    const [one, two] = [await remoteNode(plane), await plane.scriptedNode('two')]
    const token = await nodeAdmin(plane, one.id, two.id)
    const open = (id: number) => plane.stream(`/metrics/nodes/${id}/stats/stream?interval=1&token=${token}`, {})
    const readers = [await open(one.id), await open(two.id)]
    for (const reader of readers) await reader.atLeast(1)

    const admin = {token: plane.adminToken}
    await plane.server.ok('users.unassign', {id: 'ops', node: String(one.id)}, admin)
    await plane.server.ok('nodes.delete', {id: String(two.id)}, admin)

    for (const reader of readers) await reader.end()
  })
})

test('F20: a reader that does not read is cut off, the others go on, and who comes back has a whole snapshot at once', async () => {
  const world = await startWorld({settings: {statsTickMs: 20, maxQueuedBytes: 64 * 1024}})
  onTestFinished(() => world.stop())
  const [node] = world.nodes
  for (let count = 0; count < 2_000; count++) world.nodes.push({...node!, hostname: `${'n'.repeat(200)}-${count}`})
  const headers = {authorization: `Bearer ${tokens.super_admin}`}
  const open = () => EventReader.open(world.port, `/api/v1${all}?interval=1`, headers)
  const reader = await open()
  const deaf = connect(world.port, '127.0.0.1')
  onTestFinished(() => void deaf.destroy())
  deaf.write(
    `GET /api/v1${all}?interval=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${tokens.super_admin}\r\n\r\n`,
  )
  const [first] = await once(deaf, 'data')
  deaf.pause()
  expect(String(first)).toContain('200 OK')

  await eventually(() => world.app.front.streams.size === 1, {withinMs: 20_000, what: 'the cut of the deaf reader'})
  const seen = reader.events.length
  await reader.atLeast(seen + 3)
  expect(reader.ended).toBe(false)
  const [again] = await (await open()).atLeast(1)
  expect(again?.data.nodes).toHaveLength(world.nodes.length)
})

test('a snapshot is made once for all who see the same', () => {
  let made = 0
  const nodes = {readings: () => [++made], reading: () => undefined} as never
  const readings = new NodeReadings({nodes, boot: 'b', tickMs: 60_000})
  const reading = readings.current()
  for (let reader = 0; reader < 1000; reader++) reading.once('003 all', () => reading.fleet())
  expect(made).toBe(1)
})
