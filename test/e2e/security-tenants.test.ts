import {once} from 'node:events'
import {request as httpRequest} from 'node:http'
import {describe, expect, onTestFinished, test} from 'vitest'
import {WebSocket} from 'ws'
import {contract} from '../../src/contract/contract.ts'
import type {Access, Operation} from '../../src/contract/operation.ts'
import {apiPrefix, type OperationName, routes} from '../../src/contract/routes.ts'
import type {Role} from '../../src/contract/schemas/auth.ts'
import type {Claim} from '../../src/contract/schemas/claims.ts'
import type {Event} from '../../src/contract/schemas/server.ts'
import type {Backup, Site} from '../../src/contract/schemas/sites.ts'
import {nodeWithPool, taskDoer} from '../support/backup-place.ts'
import {type ControlPlane, controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {sampleOf} from '../unit/server/samples.ts'

const ladder: readonly Role[] = ['viewer', 'user', 'node_admin', 'super_admin']
/** What stands behind `:id`: something that a user owns, or something of the whole fleet, where the role alone decides. */
const owned = ['claims', 'instances', 'tokens', 'keys', 'sessions', 'sites', 'backups']
const shared = ['users', 'joinTokens', 'nodes', 'images', 'specs', 'runtimes', 'models', 'backupTargets']
/** Of the nodes that a node_admin administers: test/unit/domain/gpus.test.ts and test/e2e/storage-pools.test.ts walk them. */
const assigned = ['gpus', 'pools', 'mounts']
/** Walked by the tests of its own: test/unit/domain/tasks.test.ts. */
const elsewhere = ['tasks']
const byId = (Object.keys(routes) as OperationName[]).filter(name => routes[name].includes(':id'))
const ofOwners = byId.filter(name => owned.includes(area(name)))

function area(name: OperationName): string {
  return name.split('.')[0] as string
}

/** Calls the operation on the thing; the head of the answer, and its body unless it streams. */
function touch(plane: ControlPlane, name: OperationName, reference: string, token: string) {
  const [method, path] = routes[name].split(' ') as [string, string]
  const {transport, input}: Operation = contract[name]
  const {id: _, ...rest} = sampleOf(input) as Record<string, string>
  const target = path.replace(/:(\w+)/g, (__, member: string) => {
    const value = member === 'id' ? reference : String(rest[member])
    delete rest[member]
    return encodeURIComponent(value)
  })
  const hasBody = method !== 'GET' && method !== 'DELETE'
  const query = hasBody ? '' : `?${new URLSearchParams(rest)}`
  const content = hasBody ? JSON.stringify(rest) : undefined
  const request = httpRequest(`${plane.url}${apiPrefix}${target}${query}`, {
    method,
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      ...(content ? {'content-type': 'application/json', 'content-length': content.length} : {}),
      ...(transport === 'socket'
        ? {
            connection: 'Upgrade',
            upgrade: 'websocket',
            'sec-websocket-version': '13',
            'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          }
        : {}),
    },
  })
  return new Promise<{status: number; text: string}>((resolve, reject) => {
    request.once('error', reject)
    request.once('upgrade', (response, socket) => {
      socket.destroy()
      resolve({status: response.statusCode ?? 0, text: ''})
    })
    request.once('response', response => {
      const status = response.statusCode ?? 0
      if (status < 300) {
        response.destroy()
        resolve({status, text: ''})
        return
      }
      let text = ''
      response.setEncoding('utf8').on('data', piece => {
        text += piece
      })
      response.once('end', () => resolve({status, text: text.replace(String(response.headers['x-request-id']), 'ID')}))
    })
    request.end(content)
  })
}

/** Ann has a running instance and a token; others are there, too. */
async function annsPlace() {
  const plane = await controlPlane()
  await simulatedFleet(plane)
  const tokens: Record<string, string> = {}
  for (const [name, fields] of Object.entries({
    ann: {gpuQuota: 2},
    user: {gpuQuota: 2},
    node_admin: {role: 'node_admin'},
    viewer: {role: 'viewer'},
    system: {gpuQuota: 2},
  })) {
    const {password} = await plane.user(name, fields)
    tokens[name] = await plane.login(name, password)
  }
  const ann = tokens.ann as string
  const claim = await plane.ok<Claim>('claims.submit', {image: 'any', name: 'train', gpus: {count: 1}}, {token: ann})
  const instance = await eventually(async () => {
    const found = await plane.ok<{id: string; number: number; name: string; status: string}>(
      'instances.get',
      {id: 'train'},
      {token: ann},
    )
    return found.status === 'running' ? found : undefined
  })
  await taskDoer(plane).done('instances.snapshot', {id: 'train', name: siteName})
  const token = await plane.ok<{id: string; number: number; name: string}>(
    'tokens.create',
    {name: 'anns-ci'},
    {token: ann},
  )
  const things: Record<string, {id: string; number: number; name: string}> = {
    claims: claim,
    instances: instance,
    tokens: token,
    keys: await plane.ok('keys.create', {name: 'anns-key', key: sshKey}, {token: ann}),
    ...(await siteWithBackup(plane)),
    sessions: await openSession(plane, ann),
  }
  return {plane, tokens, ann, things}
}

const sshKey = `ssh-ed25519 ${Buffer.concat([
  ...[Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519')],
  ...[Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)],
]).toString('base64')}`

/** Called as the samples of the operations call a site and a snapshot, so that they find what they name. */
const siteName = 'alpha-12'

async function siteWithBackup(plane: ControlPlane) {
  const token = plane.adminToken
  const node = await nodeWithPool(plane, 'store-1', 'tank')
  await node.site(siteName, 'ann')
  await plane.ok('sites.snapshot', {id: siteName, name: siteName}, {token})
  const path = await temporaryDirectory('gpuctl-target-')
  await plane.ok('backupTargets.create', {name: 'disk', type: 'directory', path}, {token})
  await taskDoer(plane).done('backups.create', {site: siteName, target: 'disk'})
  const [backup] = await plane.ok<[Backup]>('backups.list', {}, {token})
  return {
    sites: await plane.ok<Site>('sites.get', {id: siteName}, {token}),
    backups: {...backup, name: backup.filename},
  }
}

/** A command that Ann left running. It has no name but its id. */
async function openSession(plane: ControlPlane, token: string): Promise<{id: string; number: number; name: string}> {
  const url = `${plane.url.replace('http', 'ws')}${apiPrefix}/instances/train/exec?command=cat&stdin=true`
  const socket = new WebSocket(url, {headers: {authorization: `Bearer ${token}`}})
  onTestFinished(() => socket.terminate())
  await once(socket, 'open')
  const [session] = await plane.ok<[{id: string; number: number}]>('sessions.list', {}, {token})
  return {...session, name: session.id}
}

describe('what belongs to somebody else', () => {
  test('T18: every operation that takes an id is known as one on owned or on shared things', () => {
    expect(byId.filter(name => ![...owned, ...shared, ...assigned, ...elsewhere].includes(area(name)))).toEqual([])
    expect(ofOwners.length).toBeGreaterThan(12)
  })

  test('T18: to others it looks absent in every operation, however it is named; a viewer may change nothing', async () => {
    const {plane, tokens, ann, things} = await annsPlace()
    const table: unknown[] = []
    for (const name of ofOwners) {
      const {id, number, name: called} = things[area(name)]!
      const {access} = contract[name] as {access: Access}
      for (const role of ['user', 'node_admin', 'viewer'] as const) {
        const mayCall = ladder.indexOf(role) >= ladder.indexOf(access as Role)
        for (const [reference, absent] of [
          [id, '00000000-0000-4000-8000-00000000dead'],
          [String(number), '987654'],
          [called, 'no-such-thing'],
          [id.slice(0, 8), 'dead-dead'],
        ] as const) {
          const answer = await touch(plane, name, reference, tokens[role]!)
          table.push([name, role, reference, answer.status])
          expect([name, role, reference, answer.status]).toEqual([name, role, reference, mayCall ? 404 : 403])
          const other = await touch(plane, name, absent, tokens[role]!)
          expect(answer.text.replaceAll(reference, 'REF')).toBe(other.text.replaceAll(absent, 'REF'))
        }
      }
    }
    expect(table).toHaveLength(ofOwners.length * 12)
    // Nothing came of it, and the calls were right: they do reach what is one's own.
    expect(await plane.ok('instances.get', {id: 'train'}, {token: ann})).toMatchObject({status: 'running', restarts: 0})
    const allowed = ofOwners.filter(name => ladder.indexOf(contract[name].access as Role) <= ladder.indexOf('user'))
    // Snapshots of an instance go with its claim, and the restore of a site wants the one that another call deletes.
    const turn = (name: string) =>
      name === 'sites.deleteSnapshot' ? 2 : /^instances\.(restore|.*[sS]napshot)/.test(name) ? 0 : 1
    for (const name of allowed.sort((a, b) => turn(a) - turn(b))) {
      const {status} = await touch(plane, name, things[area(name)]!.id, ann)
      expect([name, [400, 401, 403, 404].includes(status)]).toEqual([name, false])
    }
  }, 300_000)

  test('T18: no list, event, GPU or number shows it to others, and none takes its name or key', async () => {
    const {plane, tokens, things} = await annsPlace()
    const secretsOfAnn = Object.values(things).flatMap(({id}) => id)
    for (const who of ['user', 'node_admin', 'viewer', 'system']) {
      const token = tokens[who]!
      const ask = (name: OperationName, input = {}) => plane.ok<unknown>(name, input, {token})
      const seen = JSON.stringify([
        await ask('claims.list', {all: true}),
        await ask('instances.list', {all: true, finished: true}),
        await ask('tokens.list'),
        await ask('keys.list'),
        await ask('sessions.list', {all: true}),
        await ask('sites.list'),
        await ask('backups.list'),
        // Who administers nodes sees all tasks, and their events.
        ...(who === 'node_admin' ? [] : [await ask('tasks.list')]),
        await ask('gpus.list'),
        await ask('nodes.list'),
        await ask('events.list', {limit: 1000}),
        await ask('events.list', {object: 'train'}),
        await ask('events.list', {kind: 'instance', after: 0}),
        await ask('server.status'),
      ])
      for (const text of [...secretsOfAnn, 'train', 'anns-ci', '"ann"', ...(who === 'node_admin' ? [] : [siteName])])
        expect([who, text, seen.includes(text)]).toEqual([who, text, false])
    }
    const events = await plane.ok<Event[]>('events.list', {limit: 1000}, {token: tokens.ann})
    expect(events.map(({objectName}) => objectName)).toContain('train')
    // The same name and the same Idempotency-Key are another claim for somebody else.
    const headers = {'idempotency-key': 'key-1'}
    const submit = (token?: string) =>
      plane.ok<Claim>('claims.submit', {image: 'any', name: 'second'}, {token, headers})
    const [first, again, others] = [await submit(tokens.ann), await submit(tokens.ann), await submit(tokens.user)]
    expect(again.id).toBe(first.id)
    expect(others.id).not.toBe(first.id)
    expect(others.owner).toBe('user')
  })

  test('T18: a tenant learns nothing of machines that wait for approval, by their code or their name', async () => {
    const plane = await controlPlane()
    const {password} = await plane.user('bob', {gpuQuota: 1})
    const token = await plane.login('bob', password)
    const {code, requestId, number} = await plane.joinRequest('secret-host')
    for (const node of [code, requestId, String(number), 'secret-host', requestId.slice(0, 8)]) {
      const tries = [
        await plane.ask('nodes.get', {id: node}, {token}),
        await plane.ask('claims.submit', {image: 'any', node, dryRun: true}, {token}),
        await plane.ask('claims.explainSpec', {image: 'any', node}, {token}),
        await touch(plane, 'nodes.stats', node, token),
      ]
      expect([node, tries.map(({status}) => status)]).toEqual([node, [404, 404, 404, 404]])
    }
    const seen = [await plane.ask('nodes.list', {pending: true}, {token}), await plane.ask('events.list', {}, {token})]
    for (const {text} of seen) expect(text).not.toMatch(new RegExp(`secret-host|${code}`))
  })
})
