import {execFileSync} from 'node:child_process'
import {truncate} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {type Exec, exec} from '../../src/platform/exec.ts'
import {openStorage, type StorageParts} from '../../src/storage/registry.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {gpuNode, world} from '../support/world.ts'
import {looseDisk, zfs} from '../support/zfs.ts'

/** A world with one node whose storage is real: this machine's. */
async function storageWorld(kind: 'zfs' | 'btrfs' | 'directory', parts: Partial<StorageParts> = {}) {
  if (kind === 'zfs') await zfs()
  const host = openStorage({directory: await temporaryDirectory(), ...parts})
  let ask: typeof host.call = (method, input, signal) => host.call(method, input, signal)
  const plane = await world({
    nodes: [gpuNode('n1', 0, {storage: (method, input, signal) => ask(method, input, signal)})],
  })
  const ended = async (id: string) => {
    await eventually(
      async () => ['completed', 'failed'].includes((await plane.services.tasks.get({id}, plane.admin)).status),
      {withinMs: 20_000, what: 'the end of the task'},
    )
    return plane.services.tasks.get({id}, plane.admin)
  }
  return {
    ...plane,
    services: plane.services,
    host,
    ended,
    breakStorage(next: typeof host.call) {
      ask = next
    },
  }
}

test.for(['zfs', 'directory'] as const)(
  'a %s pool is made, seen with its size, and destroyed',
  {timeout: 60_000},
  async (type, context) => {
    if (type === 'zfs') need(context, 'root', 'zfs')
    const {services, admin, ended} = await storageWorld(type)
    const {device, pool: name} = type === 'zfs' ? await looseDisk() : {device: undefined, pool: 'tank'}
    const begun = await services.pools.create({name, node: 'n1', type, device}, admin)
    expect(begun.pool).toMatchObject({name, node: 'n1', status: 'creating'})
    expect(await ended(begun.task!.id)).toMatchObject({status: 'completed', result: {poolId: `storage-${name}`}})

    const [pool] = await services.pools.list({}, admin)
    expect(pool).toMatchObject({name, status: 'online', type})
    expect(pool?.sizeBytes).toBeGreaterThan(2 ** 20)
    expect(await services.pools.get({id: `storage-${name}`}, admin)).toMatchObject({id: pool?.id})
    await expect(services.pools.create({name, node: 'n1', type, device}, admin)).rejects.toMatchObject({
      kind: 'conflict',
    })

    await expect(services.pools.delete({id: name}, admin)).rejects.toMatchObject({code: 'confirmation_missing'})
    const gone = await services.pools.delete({id: name, confirm: name}, admin)
    expect(await ended(gone.task!.id)).toMatchObject({status: 'completed'})
    expect(await services.pools.list({}, admin)).toEqual([])
  },
)

test('a pool of what does not work on the node, or a device for one that is a folder, is refused before anything is tried', async () => {
  const run: Exec = async (file, args, options) =>
    file === 'dmsetup' ? {code: 1, stdout: '', stderr: 'no device-mapper in the kernel'} : exec(file, args, options)
  const {services, admin} = await storageWorld('directory', {run})
  const create = (type: 'lvm' | 'directory', dryRun?: boolean) =>
    services.pools.create({name: 'tank', node: 'n1', device: '/dev/sdz', type, dryRun}, admin)

  for (const dryRun of [true, undefined]) {
    await expect(create('lvm', dryRun)).rejects.toThrow('no device-mapper in the kernel')
    await expect(create('directory', dryRun)).rejects.toMatchObject({details: {field: 'device'}})
  }
  expect(await services.tasks.list({}, admin)).toEqual([])
})

test('R8: a device that carries data is refused before anything is recorded, and its contents are named', async context => {
  need(context, 'root', 'zfs')
  const {services, admin} = await storageWorld('zfs')
  const {device, pool: name} = await looseDisk()
  execFileSync('mkfs.ext4', ['-q', '-L', 'photos', device])

  await expect(services.pools.create({name, node: 'n1', device}, admin)).rejects.toMatchObject({
    code: 'storage_in_use',
    message: expect.stringContaining('photos'),
  })
  expect(await services.pools.list({}, admin)).toEqual([])
  expect(await services.tasks.list({}, admin)).toEqual([])
})

test('R8: not even force takes the device of a pool, and of two tasks on one device one is refused', async context => {
  need(context, 'root', 'zfs')
  const {services, admin, ended} = await storageWorld('zfs')
  const {device, pool: name} = await looseDisk()
  const create = (pool: string) => services.pools.create({name: pool, node: 'n1', device, force: true}, admin)

  const both = await Promise.allSettled([create(name), create(`${name}-b`)])
  const refused = both.flatMap(one => (one.status === 'rejected' ? [one.reason as {kind: string}] : []))
  const begun = both.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
  expect(refused).toMatchObject([{kind: 'conflict'}])
  expect(await ended(begun[0]!.task!.id)).toMatchObject({status: 'completed'})
  const made = begun[0]!.pool!.name
  if (made !== name) onTestFinished(() => void execFileSync('zpool', ['destroy', '-f', made]))

  await expect(create('another')).rejects.toMatchObject({
    code: 'storage_in_use',
    message: expect.stringContaining(`part of zfs pool ${made}`),
  })
  expect(await services.pools.list({}, admin)).toMatchObject([{name: made, status: 'online'}])
})

test.for(['zfs', 'btrfs'] as const)(
  'a device that goes while its %s pool is made fails the task in words, and leaves nothing',
  {timeout: 60_000},
  async (type, context) => {
    need(context, 'root', type)
    const {device, pool: name} = await looseDisk()
    let fired = 0
    const run: typeof exec = async (file, args, options) => {
      const isMaking = args.includes(type === 'zfs' ? 'zpool' : 'mkfs.btrfs') && args.includes(device)
      if (isMaking && fired++ === 0) await takeAway(device)
      return exec(file, args, options)
    }
    const {services, admin, ended, host} = await storageWorld(type, {run, poolRoot: await temporaryDirectory()})

    const {task} = await services.pools.create({name, node: 'n1', type, device}, admin)

    const {status, error} = await ended(task!.id)
    expect({status, fired: fired > 0}).toEqual({status: 'failed', fired: true})
    expect(error).toMatchObject({code: expect.stringMatching(/^STORAGE_/), message: expect.stringContaining('refused')})
    expect(error?.details).not.toHaveProperty('notTakenBack')
    expect(await services.pools.list({}, admin)).toEqual([])
    expect((await host.call('pools.list', {})).map(({pool}) => pool)).not.toContain(name)
  },
)

test('a pool that is not in its place is missing, not online', async () => {
  const {services, admin, ended, host, breakStorage} = await storageWorld('directory')
  const {task} = await services.pools.create({name: 'tank', node: 'n1', type: 'directory'}, admin)
  await ended(task!.id)
  expect(await services.pools.get({id: 'tank'}, admin)).toMatchObject({status: 'online'})

  breakStorage(async (method, input) => {
    const answer = await host.call(method, input)
    return Array.isArray(answer) ? (answer.map(one => ({...(one as object), path: ''})) as never) : answer
  })

  expect(await services.pools.get({id: 'tank'}, admin)).toMatchObject({status: 'missing', path: ''})
})

test('a pool whose device has gone is shown as missing; it is neither shared nor given sites', async context => {
  need(context, 'root', 'btrfs')
  const {device, pool: name} = await looseDisk()
  const {services, admin, ended, host} = await storageWorld('btrfs', {poolRoot: await temporaryDirectory()})
  const {task} = await services.pools.create({name, node: 'n1', type: 'btrfs', device}, admin)
  expect(await ended(task!.id)).toMatchObject({status: 'completed'})
  const {path} = await services.pools.get({id: name}, admin)

  execFileSync('umount', ['-l', path])
  await takeAway(device)

  expect(await services.pools.get({id: name}, admin)).toMatchObject({status: 'missing', path: ''})
  const share = services.pools.share({id: name, network: '192.168.3.0/24'}, admin)
  await expect(share).rejects.toMatchObject({code: 'storage_missing', message: expect.stringContaining(name)})
  await services.nodes.setQuota({id: 'n1', storageQuotaGb: 1}, admin)
  const site = services.sites.create({name: 'shop', node: 'n1', quotaBytes: 2 ** 24}, admin)
  await expect(site.then(async begun => ended(begun.task!.id))).resolves.toMatchObject({status: 'failed'})
  expect(await services.sites.list({}, admin)).toEqual([])
  expect((await host.call('pools.list', {})).map(({pool}) => pool)).not.toContain(name)
})

/** As a disk that is pulled out: the device is there, and nothing is behind it. */
async function takeAway(device: string): Promise<void> {
  const file = execFileSync('losetup', ['-n', '-O', 'BACK-FILE', device], {encoding: 'utf8'}).trim()
  await truncate(file, 0)
  execFileSync('losetup', ['-c', device])
}

test('a dry run names the very commands and leaves nothing behind', async context => {
  need(context, 'root', 'zfs')
  const {services, admin} = await storageWorld('zfs')
  const {device, pool: name} = await looseDisk()

  const {commands, task, pool} = await services.pools.create({name, node: 'n1', device, dryRun: true}, admin)

  expect({task, pool}).toEqual({task: null, pool: null})
  expect(commands).toEqual([`zpool create -O gpuctl:task=task ${name} ${device}`])
  expect(await services.pools.list({}, admin)).toEqual([])
})

test('a pool whose making fails leaves neither a record nor a pool', async () => {
  const {services, admin, ended, breakStorage, host} = await storageWorld('directory')
  let fired = 0
  breakStorage(async (method, input, signal) => {
    if (method !== 'pool.create') return host.call(method, input, signal)
    fired++
    await host.call(method, input, signal)
    throw Object.assign(new Error('the disk went away'), {})
  })
  const {task} = await services.pools.create({name: 'tank', node: 'n1', type: 'directory'}, admin)

  expect(await ended(task!.id)).toMatchObject({status: 'failed'})
  expect(fired).toBe(1)
  expect(await services.pools.list({}, admin)).toEqual([])
  expect(await host.call('pools.list', {})).not.toContainEqual(
    expect.objectContaining({pool: 'tank', type: 'directory'}),
  )
})

test('a pool is found by its name, also by one that begins as the infra family’s ids do', async () => {
  const {services, admin, ended} = await storageWorld('directory')
  for (const name of ['storage-a', 'b']) {
    const {task} = await services.pools.create({name, node: 'n1', type: 'directory'}, admin)
    await ended(task!.id)
  }
  expect(await services.pools.get({id: 'storage-a'}, admin)).toMatchObject({name: 'storage-a'})
  expect(await services.pools.get({id: 'storage-storage-a'}, admin)).toMatchObject({name: 'storage-a'})
  expect(await services.pools.get({id: 'storage-b'}, admin)).toMatchObject({name: 'b'})
})

test('who administers no node sees no pools', async () => {
  const {services, admin, ended, makeUser} = await storageWorld('directory')
  const {task} = await services.pools.create({name: 'tank', node: 'n1', type: 'directory'}, admin)
  await ended(task!.id)
  const bob = await makeUser('bob', {role: 'node_admin'})

  expect(await services.pools.list({}, bob)).toEqual([])
  await expect(services.pools.get({id: 'tank'}, bob)).rejects.toMatchObject({code: 'not_found'})
})

test('a share that fails stands among the events of its node, with what it left behind', async () => {
  const run: Exec = async (file, args, options) => {
    const words = [file, ...args].join(' ')
    if (/exportfs -u/.test(words)) return {stdout: '', stderr: 'exportfs: the table is locked', code: 1}
    if (/exportfs -o/.test(words)) return {stdout: '', stderr: '', code: 0}
    return exec(file, args, options)
  }
  const exports = join(await temporaryDirectory(), 'gpuctl.exports')
  const {services, admin, ended} = await storageWorld('directory', {run, exports})
  const {task} = await services.pools.create({name: 'tank', node: 'n1', type: 'directory'}, admin)
  await ended(task!.id)

  const share = services.pools.share({id: 'tank', network: '192.0.2.0/24'}, admin)

  const left = /the table is locked\. \S+ may still be exported to 192\.0\.2\.0\/24\. Look at it with exportfs -v/
  await expect(share).rejects.toMatchObject({code: 'storage_failed', message: expect.stringMatching(left)})
  const told = (await services.events.list({kind: 'node'}, admin)).at(-1)
  expect(told).toMatchObject({objectName: 'n1', type: 'StorageFailed', message: expect.stringMatching(left)})
})

test('T31: every change of pools, mounts and tasks leaves its row in the audit', async () => {
  const share = {network: '192.168.3.0/24', readWrite: true, rootSquash: true, exportPath: '/tank'}
  const there = {pools: new Map<string, object>(), mounts: new Map<string, object>()}
  const answers: Record<string, (input: Record<string, unknown>) => unknown> = {
    plan: () => ['true'],
    'cluster.look': () => ({manager: null, cluster: '', node: 'n1', members: [], storages: []}),
    'pools.list': () => [...there.pools.values()],
    'pool.create': ({pool, type, mark}) =>
      there.pools.set(String(pool), {pool, type, mark, share: null, state: 'online'}),
    'pool.destroy': ({pool}) => there.pools.delete(String(pool)),
    'pool.share': ({pool}) => there.pools.set(String(pool), {...there.pools.get(String(pool)), share}),
    'pool.unshare': () => null,
    'mounts.list': () => [...there.mounts.values()],
    'mount.create': input => there.mounts.set(String(input.name), {...input, state: 'mounted'}),
    'mount.remove': ({name}) => there.mounts.delete(String(name)),
  }
  const storage = async (method: string, input: object) => answers[method]?.(input as never) as never
  const {services, store, admin, settle} = await world({nodes: [gpuNode('n1', 0, {storage})]})

  await services.pools.create({name: 'tank', node: 'n1', device: '/dev/sdb'}, admin)
  await settle()
  await services.pools.share({id: 'tank', network: '192.168.3.0/24'}, admin)
  await services.mounts.create({name: 'tank', nodes: ['n1'], pool: 'tank'}, admin)
  await settle()
  const {task} = await services.mounts.delete({id: 'tank'}, admin)
  await services.tasks.cancel({id: task!.id}, admin)
  await settle()
  await services.pools.unshare({id: 'tank'}, admin)
  await services.pools.delete({id: 'tank', confirm: 'tank'}, admin)
  await settle()

  const actions = (await store.audit.list(100)).map(({action}) => action).filter(one => /^(pools|tasks)\./.test(one))
  expect(actions.reverse()).toEqual([
    ...['tasks.submit pool.create', 'pools.share', 'tasks.submit mount.create', 'tasks.submit mount.delete'],
    ...['tasks.cancel', 'pools.unshare', 'tasks.submit pool.delete'],
  ])
  expect(await services.pools.list({}, admin)).toEqual([])
})

test('T31: every change of sites and of their snapshots leaves its row in the audit', async () => {
  const {services, store, admin, ended} = await storageWorld('directory')
  const quotaBytes = 2 ** 30
  const over = async ({task}: {task: {id: string} | null}) =>
    expect(await ended(task!.id)).toMatchObject({error: null, status: 'completed'})

  await over(await services.pools.create({name: 'tank', node: 'n1', type: 'fake'}, admin))
  await services.nodes.setQuota({id: 'n1', storageQuotaGb: 10}, admin)
  await over(await services.sites.create({name: 'shop', node: 'n1', quotaBytes}, admin))
  await services.sites.setQuota({id: 'shop', quotaBytes: 2 * quotaBytes}, admin)
  await services.sites.snapshot({id: 'shop', name: 'before'}, admin)
  const never = {id: 'shop', snapshot: 'never', name: 'copy', quotaBytes}
  await expect(services.sites.clone(never, admin)).rejects.toMatchObject({code: 'not_found'})
  await over(await services.sites.clone({...never, snapshot: 'before'}, admin))
  await over(await services.sites.restore({id: 'shop', snapshot: 'before', confirm: 'shop'}, admin))
  await services.sites.deleteSnapshot({id: 'shop', snapshot: 'before'}, admin)
  await over(await services.sites.delete({id: 'copy', confirm: 'copy'}, admin))

  const actions = (await store.audit.list(100)).map(({action}) => action).filter(one => /sites?\./.test(one))
  expect(actions.reverse()).toEqual([
    ...['tasks.submit site.create', 'sites.setQuota', 'sites.snapshot', 'tasks.submit site.clone'],
    ...['tasks.submit site.restore', 'sites.deleteSnapshot', 'tasks.submit site.delete'],
  ])
})
