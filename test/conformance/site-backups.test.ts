import {execFileSync} from 'node:child_process'
import {randomBytes, randomUUID} from 'node:crypto'
import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, type TestContext, test, vi} from 'vitest'
import type {SiteRecord} from '../../src/domain/records.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {gpuNode, world} from '../support/world.ts'
import {looseDisk, zfs} from '../support/zfs.ts'

// Many storage programs, one after the other, on a machine that may be busy.
vi.setConfig({testTimeout: 150_000})

/** A world with a node with a pool, a site on it, and a folder for its backups. */
async function backupWorld(context: TestContext, type: 'zfs' | 'fake' = 'fake') {
  need(context, 'root')
  if (type === 'zfs') {
    need(context, 'zfs')
    await zfs()
  }
  const host = openStorage({directory: await temporaryDirectory()})
  const ask: {storage: typeof host.call} = {storage: (method, input, signal) => host.call(method, input, signal)}
  const plane = await world({
    nodes: [gpuNode('n1', 0, {storage: (method, input, signal) => ask.storage(method, input, signal)})],
  })
  const {services, store, admin} = plane
  const ended = async ({task}: {task: {id: string} | null}) => {
    const now = () => services.tasks.get({id: task!.id}, admin)
    await eventually(async () => ['completed', 'failed'].includes((await now()).status), {
      ...{withinMs: 60_000, what: 'the end of the task'},
    })
    return now()
  }
  const {device, pool: name} = type === 'zfs' ? await looseDisk() : {device: undefined, pool: 'tank'}
  await ended(await services.pools.create({name, node: 'n1', device, type}, admin))
  const [pool] = await store.pools.list()
  const volume = {pool: name, type, volume: 'shop'}
  const {path} = await host.call('volume.create', {
    ...volume,
    quotaBytes: type === 'zfs' ? 2 ** 26 : null,
    mark: 'task-1',
  })
  const at = new Date(plane.clock.now()).toISOString()
  const site: Omit<SiteRecord, 'number'> = {
    ...{id: randomUUID(), createdAt: at, updatedAt: at, version: 0, name: 'shop', nodeId: pool!.nodeId},
    ...{poolId: pool!.id, quotaBytes: 2 ** 26, usedBytes: 2 ** 20, wpPath: null, dbName: null, status: 'active'},
    ...{scheduleFrequency: 'manual', scheduleTime: null, scheduleDays: null, retentionCopies: 2},
    ...{nextRunAt: null, lastBackupAt: null},
  }
  await store.transaction(tx => tx.sites.insert(site))
  const folder = await temporaryDirectory('gpuctl-target-')
  await services.backupTargets.create({name: 'disk', type: 'directory', path: folder}, admin)
  await services.nodes.setQuota({id: 'n1', storageQuotaGb: 1}, admin)
  const backUp = async (rest: {incremental?: boolean} = {}) => {
    plane.clock.advance(1_000)
    return ended(await services.backups.create({site: 'shop', target: 'disk', ...rest}, admin))
  }
  const snapshots = async () => (await host.call('snapshots.list', volume)).map(one => one.snapshot)
  return {...plane, services, store, host, ask, ended, volume, path, folder, backUp, snapshots}
}

test('a site is backed up, read again, restored beside itself and into itself, and its backup is deleted', async context => {
  const {services, admin, ended, path, folder, backUp, snapshots, host, volume} = await backupWorld(context)
  const content = randomBytes(2 ** 20)
  await writeFile(join(path, 'page'), content)

  const made = await backUp()

  expect(made).toMatchObject({status: 'completed', type: 'backup.create', progress: 100})
  const [backup] = await services.backups.list({}, admin)
  const {filename} = backup!
  expect(filename).toMatch(/^shop_\d{8}_\d{6}_[0-9a-f]{6}\.tar\.zst$/)
  expect(backup).toMatchObject({
    status: 'SUCCESS',
    type: 'full',
    site: 'shop',
    provider: 'disk',
    ...sumOf(folder, filename),
  })
  expect(await snapshots()).toEqual([])
  expect(await services.sites.get({id: 'shop'}, admin)).toMatchObject({lastBackupAt: backup!.takenAt})
  expect(await ended(await services.backups.verify({id: filename}, admin))).toMatchObject({status: 'completed'})

  await writeFile(join(path, 'page'), 'overwritten')
  const beside = await ended(await services.backups.restore({id: filename, site: 'shop-2'}, admin))
  expect(beside).toMatchObject({status: 'completed', result: {site: 'shop-2', node: 'n1'}})
  expect(await services.sites.get({id: 'shop-2'}, admin)).toMatchObject({status: 'active', quotaBytes: 2 ** 26})
  expect((await readFile(join(path, '..', 'shop-2', 'page'))).equals(content)).toBe(true)

  const again = services.backups.restore({id: filename, site: 'shop'}, admin)
  await expect(again).rejects.toMatchObject({code: 'confirmation_missing'})
  const same = await ended(await services.backups.restore({id: filename, site: 'shop', confirm: 'shop'}, admin))
  expect(same).toMatchObject({status: 'completed'})
  expect((await readFile(join(path, 'page'))).equals(content)).toBe(true)
  expect(await snapshots()).toEqual([])

  await expect(services.backups.delete({id: filename}, admin)).rejects.toMatchObject({code: 'confirmation_missing'})
  await expect(services.backupTargets.delete({id: 'disk'}, admin)).rejects.toMatchObject({code: 'target_in_use'})
  expect(await ended(await services.backups.delete({id: filename, confirm: filename}, admin))).toMatchObject({
    status: 'completed',
  })
  expect([await services.backups.list({}, admin), await readdir(folder)]).toEqual([[], []])
  await services.backupTargets.delete({id: 'disk'}, admin)
  expect((await host.call('volumes.list', volume)).map(one => one.volume).sort()).toEqual(['shop', 'shop-2'])
})

test('differences are kept with what they build on, as many as the site keeps copies, restored as one, and go when nothing needs them', async context => {
  const {services, admin, ended, path, folder, backUp, snapshots} = await backupWorld(context, 'zfs')
  await services.sites.setSchedule({id: 'shop', frequency: 'manual', retentionCopies: 3}, admin)
  await writeFile(join(path, 'page'), randomBytes(2 ** 20))
  for (const day of ['one', 'two', 'three']) {
    await writeFile(join(path, day), day)
    expect(await backUp({incremental: true})).toMatchObject({status: 'completed'})
  }

  const made = await services.backups.list({}, admin)
  expect(made.map(({type}) => type)).toEqual(['incremental', 'incremental', 'full'])
  expect(await snapshots()).toHaveLength(1)
  const [newest, , oldest] = made
  const deleting = services.backups.delete({id: oldest!.id, confirm: oldest!.filename}, admin)
  await expect(deleting).rejects.toMatchObject({code: 'backup_in_use'})
  expect(await ended(await services.backups.restore({id: newest!.id, site: 'copy'}, admin))).toMatchObject({
    ...{status: 'completed'},
  })
  for (const day of ['one', 'two', 'three']) expect(await readFile(join(path, '..', 'copy', day), 'utf8')).toBe(day)

  await backUp({incremental: true})
  expect((await services.backups.list({}, admin))[0]).toMatchObject({type: 'full'})
  expect(await snapshots()).toHaveLength(1)
  for (const _ of [1, 2, 3]) await backUp()
  expect((await services.backups.list({}, admin)).map(({type}) => type)).toEqual(['full', 'full', 'full'])
  expect(await readdir(folder)).toHaveLength(3)
  expect(await snapshots()).toEqual([])
})

test('a site that comes back anew has its schedule again, with the next run of it', async context => {
  const {services, admin, ended, backUp, clock} = await backupWorld(context)
  await services.sites.setSchedule({id: 'shop', frequency: 'daily', time: '03:00', retentionCopies: 3}, admin)
  await backUp()
  const [backup] = await services.backups.list({}, admin)

  await ended(await services.backups.restore({id: backup!.id, site: 'shop-2'}, admin))

  const site = await services.sites.get({id: 'shop-2'}, admin)
  expect(site).toMatchObject({scheduleFrequency: 'daily', scheduleTime: '03:00', retentionCopies: 3, pool: 'tank'})
  expect(Date.parse(site.nextRunAt ?? '')).toBeGreaterThan(clock.now())
})

test('a difference of what cannot send one is refused before anything is begun', async context => {
  const {services, admin} = await backupWorld(context)

  const asked = services.backups.create({site: 'shop', target: 'disk', incremental: true}, admin)

  await expect(asked).rejects.toMatchObject({code: 'input_invalid', details: {field: 'incremental'}})
  expect(await services.tasks.list({type: 'backup.create'}, admin)).toEqual([])
})

test('a backup whose file is not what was written fails and takes all back; the next one succeeds', async context => {
  const {services, admin, ended, ask, host, path, folder, backUp, snapshots, store} = await backupWorld(context)
  await writeFile(join(path, 'page'), randomBytes(2 ** 20))
  const [target] = await store.backupTargets.list()
  let fails = 0
  ask.storage = async (method, input, signal) => {
    const made = await host.call(method, input, signal)
    if (method !== 'backup.make') return made
    fails += 1
    await writeFile(join(folder, (input as {filename: string}).filename), 'not what was written')
    return made
  }

  expect(await backUp()).toMatchObject({status: 'failed'})
  expect(fails).toBeGreaterThan(0)
  expect([await readdir(folder), await snapshots(), await services.backups.list({}, admin)]).toEqual([[], [], []])

  ask.storage = (method, input, signal) => host.call(method, input, signal)
  await writeFile(join(folder, 'x'), '')
  await expect(ended(await services.backups.create({site: 'shop', target: target!.id}, admin))).resolves.toMatchObject({
    status: 'completed',
  })
})

test('F18: a cancel that comes when the old state of a site is let go comes too late: its restore goes on to the end', async context => {
  const {services, admin, ended, ask, host, path, backUp, snapshots} = await backupWorld(context)
  await writeFile(join(path, 'page'), 'before')
  await backUp()
  const [backup] = await services.backups.list({}, admin)
  await writeFile(join(path, 'page'), 'later')
  ask.storage = async (method, input, signal) => {
    const [task] = await services.tasks.list({type: 'backup.restore'}, admin)
    if (method === 'snapshot.delete') await services.tasks.cancel({id: task!.id}, admin)
    return host.call(method, input, signal)
  }

  const restoring = await services.backups.restore({id: backup!.id, site: 'shop', confirm: 'shop'}, admin)

  expect(await ended(restoring)).toMatchObject({status: 'completed', error: null})
  expect(await readFile(join(path, 'page'), 'utf8')).toBe('before')
  expect(await snapshots()).toEqual([])
})

function sumOf(folder: string, filename: string) {
  const checksum = execFileSync('sha256sum', [join(folder, filename)], {encoding: 'utf8'}).slice(0, 64)
  return {checksum}
}
