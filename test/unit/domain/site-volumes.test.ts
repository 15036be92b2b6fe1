import {execFileSync} from 'node:child_process'
import {expect, test, vi} from 'vitest'
import type {Caller} from '../../../src/domain/caller.ts'
import {type PoolKind, siteWorld} from '../../support/site-world.ts'
import {need} from '../../support/skips.ts'

// Real pools, on machines that do other things too.
vi.setConfig({testTimeout: 30_000})
const mib = 2 ** 20

test.for<PoolKind>(['zfs', 'directory'])(
  'a site on a %s pool is a volume with an owner, and goes with all in it',
  async (kind, context) => {
    if (kind === 'zfs') need(context, 'root', 'zfs')
    const {services, admin, makeSite, done, volumes, pool} = await siteWorld(kind)
    await makeSite('data', {owner: 'alice'})

    const site = await services.sites.get({id: 'data'}, admin)
    expect(site).toMatchObject({node: 'n1', owner: 'alice', status: 'active', quotaBytes: 16 * mib})
    expect(site.quotaState).toBe(kind === 'zfs' ? 'enforced' : 'counted')
    expect(await volumes()).toEqual([expect.objectContaining({volume: 'data', pool})])

    await expect(services.sites.delete({id: 'data'}, admin)).rejects.toMatchObject({code: 'confirmation_missing'})
    await expect(services.pools.delete({id: pool, confirm: pool}, admin)).rejects.toMatchObject({code: 'pool_in_use'})
    await done(services.sites.delete({id: 'data', confirm: 'data'}, admin))
    expect(await services.sites.list({}, admin)).toEqual([])
    expect(await volumes()).toEqual([])
  },
)

test('the quota of a site stops who writes more, and a larger one lets him', async context => {
  need(context, 'root', 'zfs')
  const {services, admin, makeSite, volumes, pass} = await siteWorld('zfs')
  await makeSite('data')
  const [{path} = {path: ''}] = await volumes()
  const write = () =>
    execFileSync('dd', ['if=/dev/urandom', `of=${path}/big`, 'bs=1M', 'count=24', 'conv=fsync'], {stdio: 'pipe'})

  expect(write).toThrow(/quota exceeded/i)
  const larger = await services.sites.setQuota({id: 'data', quotaBytes: 64 * mib}, admin)
  expect(larger).toMatchObject({quotaState: 'enforced', quotaBytes: 64 * mib})
  expect(write).not.toThrow()
  execFileSync('sync')

  await pass(65_000)
  expect((await services.sites.get({id: 'data'}, admin)).usedBytes).toBeGreaterThan(20 * mib)
  // ZFS refuses less than what is there: what was stays.
  await expect(services.sites.setQuota({id: 'data', quotaBytes: 2 * mib}, admin)).rejects.toMatchObject({
    code: 'storage_full',
  })
  expect(await services.sites.get({id: 'data'}, admin)).toMatchObject({quotaBytes: 64 * mib, quotaState: 'enforced'})
})

test('a node that is away hears of a quota when it is back', async context => {
  need(context, 'root', 'zfs')
  const {services, admin, makeSite, volumes, agent, pass} = await siteWorld('zfs')
  await makeSite('data')
  agent('n1').disconnect()

  const set = await services.sites.setQuota({id: 'data', quotaBytes: 32 * mib}, admin)
  expect(set.quotaState).toBe('pending')
  expect((await volumes())[0]?.quotaBytes).toBe(16 * mib)

  await agent('n1').connect()
  await pass(65_000)
  expect((await volumes())[0]?.quotaBytes).toBe(32 * mib)
  expect(await services.sites.get({id: 'data'}, admin)).toMatchObject({quotaState: 'enforced'})
})

test('W4.4: the quotas of the sites of a node fit into that of the node', async () => {
  const {services, admin} = await siteWorld('directory')
  await services.nodes.setQuota({id: 'n1', storageQuotaGb: 1}, admin)

  await expect(services.sites.create({name: 'big', node: 'n1', quotaBytes: 1025 * mib}, admin)).rejects.toMatchObject({
    code: 'site_over_quota',
  })
  expect(await services.sites.list({}, admin)).toEqual([])
  expect(await services.tasks.list({type: 'site.create'}, admin)).toEqual([])
})

test('a dry run shows the very commands and records nothing', async () => {
  const {services, admin, pool, volumes} = await siteWorld('directory')
  const {site, task, commands} = await services.sites.create(
    {name: 'data', node: 'n1', quotaBytes: 16 * mib, dryRun: true},
    admin,
  )

  expect({site, task}).toEqual({site: null, task: null})
  expect(commands.join('\n')).toContain(`${pool}/data`)
  expect(await services.sites.list({}, admin)).toEqual([])
  expect(await volumes()).toEqual([])
  expect(await services.tasks.list({type: 'site.create'}, admin)).toEqual([])
})

test('a dry run is refused as the work itself would be, and is no reason for a later refusal', async () => {
  const {services, admin, ended, pool} = await siteWorld('directory')
  await services.nodes.setQuota({id: 'n1', storageQuotaGb: 1}, admin)
  const big = {name: 'big', node: 'n1', quotaBytes: 1025 * mib, dryRun: true}
  await expect(services.sites.create(big, admin)).rejects.toMatchObject({code: 'site_over_quota'})
  const {task} = await services.sites.create({name: 'data', node: 'n1', quotaBytes: 16 * mib}, admin)
  await ended(task!.id)

  await expect(services.pools.delete({id: pool, dryRun: true}, admin)).rejects.toMatchObject({code: 'pool_in_use'})
  const tried = await services.sites.delete({id: 'data', dryRun: true}, admin)
  expect(tried.task).toBeNull()
  expect(tried.commands.join('\n')).toContain(`${pool}/data`)
  expect(await services.sites.get({id: 'data'}, admin)).toMatchObject({status: 'active'})
  const gone = await services.sites.delete({id: 'data', confirm: 'data'}, admin)
  expect(await ended(gone.task!.id)).toMatchObject({status: 'completed'})
  expect(await services.pools.delete({id: pool, dryRun: true}, admin)).toMatchObject({task: null})
})

test('a volume that somebody else made is not taken for the site: nothing stays behind, and the volume does', async () => {
  const {services, admin, ended, volumes, pool, host} = await siteWorld('directory')
  await host.call('volume.create', {pool, type: 'directory', volume: 'data', quotaBytes: null, mark: 'elsewhere'})
  const {task} = await services.sites.create({name: 'data', node: 'n1', quotaBytes: 16 * mib}, admin)

  expect(await ended(task!.id)).toMatchObject({status: 'failed', error: {code: 'STORAGE_TAKEN'}})
  expect(await services.sites.list({}, admin)).toEqual([])
  expect(await volumes()).toEqual([expect.objectContaining({mark: 'elsewhere'})])
})

test('T18: users see their own sites and nobody else’s; what is foreign looks absent', async () => {
  const {services, admin, caller: alice, makeUser, makeSite} = await siteWorld('directory')
  const bob = await makeUser('bob', {})
  const carol = await makeUser('carol', {role: 'node_admin'})
  await makeSite('data', {owner: 'alice'})
  await makeSite('other')
  const {id} = await services.sites.get({id: 'data'}, admin)

  const namesOf = async (who: Caller) => (await services.sites.list({}, who)).map(({name}) => name)
  expect(await namesOf(alice)).toEqual(['data'])
  expect(await namesOf(admin)).toEqual(['data', 'other'])
  expect(await namesOf(bob)).toEqual([])
  expect(await namesOf(carol)).toEqual([])
  expect((await services.sites.list({node: 'n1'}, alice)).map(({name}) => name)).toEqual(['data'])
  for (const who of [bob, carol]) {
    for (const reference of [id, 'data', '1', id.slice(0, 8)]) {
      await expect(services.sites.get({id: reference}, who)).rejects.toMatchObject({code: 'not_found'})
      await expect(services.sites.delete({id: reference, confirm: 'data'}, who)).rejects.toMatchObject({
        code: 'not_found',
      })
    }
  }
  // Whose it is may use it, and not enlarge it.
  await expect(services.sites.setQuota({id, quotaBytes: 32 * mib}, alice)).rejects.toMatchObject({code: 'not_found'})
})
