import {readdir, readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {WebSocket} from 'ws'
import {contract} from '../../src/contract/contract.ts'
import {type DryRun, takesDryRun} from '../../src/contract/dry-run.ts'
import {apiPrefix, type OperationName, routes} from '../../src/contract/routes.ts'
import {type ControlPlane, controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {registerRuntime, standInRuntime} from '../support/stand-in-runtime.ts'
import {eventually} from '../support/wait.ts'

/** They change nothing that outlives them: a ticket in memory, a question, a reading. */
const unaudited: OperationName[] = [
  'auth.streamTicket',
  'claims.explainSpec',
  'nodes.test',
  'nodes.beat',
  'sites.report',
  'backups.report',
]
/** Operations whose method does not tell that they change something. */
const alsoChanging: OperationName[] = ['instances.exec', 'nodes.joinStatus']
/** What needs the machine or storage of a node is walked in test/e2e/node-doctor.test.ts, node-upgrade.test.ts and storage-pools.test.ts, a task's end in test/unit/domain/tasks.test.ts. */
const elsewhere =
  /^(pools|mounts|tasks|backups|vmBackups|osImages|members)\.|^nodes\.(repair|upgrade)$|^sites\.(create|delete|snapshot|deleteSnapshot|restore|clone|setSchedule)$/
const changing = (Object.keys(routes) as OperationName[]).filter(
  name =>
    (!routes[name].startsWith('GET ') || alsoChanging.includes(name)) &&
    !unaudited.includes(name) &&
    !elsewhere.test(name),
)
/** The other door to the same thing: an instance is a claim, a quota a part of its user. */
const writtenAs: Partial<Record<OperationName, string>> = {
  'instances.create': 'claims.submit',
  'images.pull': 'tasks.submit image.pull',
  'instances.snapshot': 'tasks.submit instance.snapshot',
  'instances.delete': 'claims.cancel',
  'quotas.set': 'users.update',
}
/** Their dry runs show what would be made. */
const answersItself: OperationName[] = ['claims.submit', 'nodes.drain']
/** Rows of later: the end of what the call began. */
const ends = 'sessions.end'

const publicKey = Buffer.concat([
  ...[Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519')],
  ...[Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)],
]).toString('base64')
const canary = (what: string) => `canary-${what}-7Qx9vK2m`
const secretMembers = new Set(['token', 'secret', 'pollSecret', 'nodeKey', 'ticket'])

interface Used {
  secrets: string[]
  calls: Map<OperationName, string[]>
  /** By the request of the call itself what its dry run said. */
  tries: Map<string, DryRun>
}

/** Calls every changing operation once with success, and much else with secrets in it; all secrets that were met. */
async function useAll(plane: ControlPlane): Promise<Used> {
  const secrets: string[] = [plane.adminToken, plane.firstPassword ?? '']
  const calls = new Map<OperationName, string[]>()
  const tries = new Map<string, DryRun>()
  const admin = plane.adminToken
  let count = 0
  const step = async (
    name: OperationName,
    input: Record<string, unknown> = {},
    token: string | undefined = admin,
    more: Record<string, string> = {},
  ) => {
    const requestId = `audit-${++count}`
    if (takesDryRun(name, contract[name])) tries.set(requestId, await tryOut(name, input, token))
    const reply = await plane.ok<Record<string, string>>(name, input, {
      token,
      headers: {...more, 'x-request-id': requestId},
    })
    for (const [key, value] of Object.entries(reply)) if (secretMembers.has(key) && value) secrets.push(value)
    calls.set(name, [...(calls.get(name) ?? []), requestId])
    return reply
  }
  /** Before each change is made it is tried; that it can then be made shows that the trial did not. */
  const tryOut = async (name: OperationName, input: object, token: string | undefined) => {
    const headers = {'x-request-id': `tried-${count}`}
    return plane.ok<DryRun>(name, {...input, dryRun: true}, {token, headers})
  }
  const secret = (what: string) => {
    secrets.push(canary(what))
    return canary(what)
  }

  const password = secret('password')
  await step('users.create', {username: 'ann', password: secret('first-password'), gpuQuota: 8})
  await step('users.update', {id: 'ann', password, maxPriority: 3})
  await step('settings.set', {name: 'auth.registration', value: 'open'})
  await step('users.invite', {uses: 1})
  await step('auth.register', {username: 'eve', password: secret('own-password')}, '')
  const eve = await step('auth.login', {username: 'eve', password: canary('own-password')}, '')
  await step('auth.changePassword', {current: canary('own-password'), password: secret('next-password')}, eve.token)
  await step('quotas.set', {user: 'eve', gpus: 1})
  const {token: login = ''} = await step('auth.login', {username: 'ann', password}, '')
  const {ticket = ''} = await plane.ok<Record<string, string>>(
    'auth.streamTicket',
    {path: `${apiPrefix}/status`},
    {token: login},
  )
  secrets.push(ticket)
  const link = await step('auth.browserLink', {}, login)
  await step('auth.redeemLink', {secret: link.secret}, '')
  const ci = await step('tokens.create', {name: 'ci'}, login)
  await plane.ask('auth.whoami', {}, {token: ci.secret})
  await step('tokens.revoke', {id: 'ci'}, login)
  await step('keys.create', {key: `ssh-ed25519 ${publicKey}`, name: 'laptop'}, login)
  await step('keys.delete', {id: 'laptop'}, login)
  const invitation = await step('joinTokens.create', {name: 'invitation', autoApprove: true, uses: 2})
  const invited = await step('nodes.join', {hostname: 'gpu-1', joinToken: invitation.secret}, '')
  const delivered = await step('nodes.joinStatus', {code: invited.code}, '', {
    'x-join-secret': invited.pollSecret ?? '',
  })
  await step('joinTokens.revoke', {id: 'invitation'})
  const approved = await step('nodes.join', {hostname: 'gpu-2'}, '')
  await step('nodes.approve', {node: approved.code})
  await step('nodes.joinStatus', {code: approved.code}, '', {'x-join-secret': approved.pollSecret ?? ''})
  const rejected = await step('nodes.join', {hostname: 'gpu-3'}, '')
  await step('nodes.reject', {node: rejected.code, reason: 'no'})
  const tls = {ca: 'not a certificate', cert: 'not a certificate', key: secret('docker-key')}
  await step('nodes.add', {name: 'docker-1', docker: 'tcp://127.0.0.1:9', ...tls})
  await step('nodes.update', {id: 'docker-1', remark: 'a remark'})
  const runtime = await standInRuntime()
  const {id: runtimeId} = await registerRuntime(plane, runtime, {approve: false})
  await step('runtimes.approve', {id: runtimeId})
  await step('runtimes.delete', {id: runtimeId})
  await step('nodes.setQuota', {id: 'gpu-1', storageQuotaGb: 20})
  await plane.ok('sites.report', {sites: [{name: 'shop', usedBytes: 1}]}, {token: delivered.nodeKey})
  await step('sites.setQuota', {id: 'shop', quotaBytes: 1})
  const s3 = {endpoint: 'https://s3.example.com', bucket: 'backups', accessKeyId: 'AK1'}
  const secretAccessKey = canary('s3')
  secrets.push(secretAccessKey)
  await step('backupTargets.create', {name: 's3', type: 's3', ...s3, secretAccessKey})
  await step('backupTargets.delete', {id: 's3'})
  await step('users.assign', {id: 'ann', node: 'gpu-1'})
  await step('users.unassign', {id: 'ann', node: 'gpu-1'})
  await step('nodes.block', {id: 'gpu-2', reason: 'no'})
  await step('nodes.cordon', {id: 'gpu-1', reason: 'work'})
  await step('gpus.disable', {id: 'sim-0001:0', reason: 'ECC errors'})
  await step('gpus.enable', {id: 'sim-0001:0'})
  await step('nodes.drain', {id: 'gpu-1', reason: 'work'})
  await step('nodes.uncordon', {id: 'gpu-1'})
  await step('nodes.delete', {id: 'gpu-1'})

  await step('images.create', {name: 'box', address: 'busybox'})
  await step('images.pull', {image: 'busybox', nodes: ['sim-0001']})
  await step('images.update', {id: 'box', description: 'a box'})
  await step('specs.create', {name: 'small', gpuCount: 1})
  await step('specs.update', {id: 'small', pricePerHour: 2})
  await step('claims.submit', {image: 'any', name: 'a', gpus: {count: 1}}, login)
  await step('claims.reprioritize', {id: 'a', priority: 1}, login)
  await step('claims.cancel', {id: 'a'}, login)
  await step('instances.create', {image: 'box', spec: 'small', name: 'b'}, login)
  await eventually(async () => (await plane.ok('instances.get', {id: 'b'}, {token: login})).status === 'running')
  const leave = await exec(plane, 'b', login, 'audit-exec')
  calls.set('instances.exec', ['audit-exec'])
  const [session] = await plane.ok<{id: string}[]>('sessions.list', {}, {token: login})
  await step('sessions.kill', {id: session?.id}, login)
  await leave()
  await step('instances.update', {id: 'b', remark: 'until Friday'}, login)
  await step('instances.stop', {id: 'b', graceSeconds: 0}, login)
  await step('instances.start', {id: 'b'}, login)
  await step('instances.restart', {id: 'b', graceSeconds: 0}, login)
  await step('instances.snapshot', {id: 'b', name: 'kept'}, login)
  const kept = () => plane.ok<{state: string}[]>('instances.snapshots', {id: 'b'}, {token: login})
  await eventually(async () => (await kept())[0]?.state === 'ready')
  await step('instances.restore', {id: 'b', snapshot: 'kept'}, login)
  await step('instances.snapshot', {id: 'b', name: 'other'}, login)
  await eventually(async () => (await kept())[1]?.state === 'ready')
  await step('instances.deleteSnapshot', {id: 'b', snapshot: 'other'}, login)
  await step('instances.delete', {id: 'b'}, login)
  await step('images.delete', {id: 'box'})
  await step('specs.delete', {id: 'small'})
  await step('auth.logout', {}, login)
  await step('users.delete', {id: 'ann'})

  // Secrets where they do not belong.
  const astray = async (method: string, path: string, rest: Parameters<ControlPlane['call']>[2] = {}) => {
    expect((await plane.call(method, `${apiPrefix}${path}`, rest)).status).toBeGreaterThanOrEqual(400)
  }
  await astray('POST', '/auth/login', {body: {username: secret('typed-as-name'), password: secret('wrong')}})
  await astray('POST', '/auth/login', {body: {username: 'admin', password: 'x', pasword: secret('typo')}})
  await astray('POST', '/auth/login', {raw: `{"username": "admin", "password": "${secret('broken')}"`})
  await astray('POST', '/users', {token: admin, body: {username: 'bob', password: {no: secret('shape')}}})
  await astray('POST', '/nodes/join', {body: {hostname: 'gpu-9', joinToken: secret('join-token')}})
  await astray('GET', '/nodes/join/XXXXX', {headers: {'x-join-secret': secret('poll-secret')}})
  await astray('DELETE', `/tokens/${ci.secret}`, {token: admin})
  await astray('GET', `/claims/${login}`, {token: admin})
  await astray('GET', `/events/stream?ticket=${secret('ticket')}&token=${login}`)
  await astray('GET', '/status', {token: secret('bearer')})
  await astray('GET', '/status', {
    headers: {authorization: `Basic ${secret('basic')}`, cookie: `token=${secret('cookie')}`},
  })
  await astray('GET', '/nowhere', {token: admin, headers: {'x-api-key': secret('api-key')}})
  return {secrets: secrets.filter(Boolean), calls, tries}
}

/** A command that stays; ends when what is returned is called. */
function exec(plane: ControlPlane, id: string, token: string, requestId: string): Promise<() => Promise<void>> {
  const url = `${plane.url.replace('http', 'ws')}${apiPrefix}/instances/${id}/exec?command=cat&stdin=true`
  const socket = new WebSocket(url, {headers: {authorization: `Bearer ${token}`, 'x-request-id': requestId}})
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    const closed = new Promise<void>(done => socket.once('close', () => done()))
    socket.once('open', () => resolve(() => closed))
  })
}

test('T31 and T8: every changing operation leaves one audit row, its dry run none, and no secret stays in log, store, events or files', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane)
  const {secrets, calls, tries} = await useAll(plane)
  expect([...calls.keys()].sort()).toEqual([...changing].sort())
  const events = JSON.stringify(await plane.ok('events.list', {limit: 1000}, {token: plane.adminToken}))
  const rows = await plane.stopAndReadAudit()

  for (const [name, requestIds] of calls) {
    for (const requestId of requestIds) {
      const found = rows.filter(row => row.requestId === requestId && row.action !== ends).map(({action}) => action)
      expect([name, found]).toEqual([name, [writtenAs[name] ?? name]])
    }
  }
  expect(rows.filter(({requestId}) => requestId.startsWith('tried-'))).toEqual([])
  for (const [name, requestIds] of calls) {
    const said = requestIds.flatMap(requestId => tries.get(requestId)?.actions ?? [])
    const isTried = takesDryRun(name, contract[name]) && !answersItself.includes(name)
    expect([name, said]).toEqual([name, isTried ? requestIds.map(() => writtenAs[name] ?? name) : []])
  }
  expect(rows.every(({actor, at, object}) => actor !== '' && at !== '' && object !== '')).toBe(true)
  expect(rows.find(({action}) => action === 'nodes.approve')).toMatchObject({
    actor: 'admin',
    details: {address: expect.any(String)},
  })

  expect(secrets.length).toBeGreaterThan(25)
  const places: [string, string][] = [
    ['log', plane.log()],
    ['events', events],
    ['audit', JSON.stringify(rows)],
  ]
  // The files that exist to hold one are private (T29); everything else is searched as it lies on the disk.
  const holders = ['local-token', 'first-admin-password']
  const files = await readdir(plane.directory, {recursive: true, withFileTypes: true})
  for (const file of files.filter(one => one.isFile() && !holders.includes(one.name))) {
    places.push([file.name, await readFile(join(file.parentPath, file.name), 'latin1')])
  }
  expect(places.map(([name]) => name)).toContain('server.db')
  expect(plane.log()).toContain('/tokens/…')
  for (const secret of secrets) {
    const found = places.filter(([, text]) => text.includes(secret)).map(([name]) => name)
    expect([secret.slice(0, 24), found]).toEqual([secret.slice(0, 24), []])
  }
})
