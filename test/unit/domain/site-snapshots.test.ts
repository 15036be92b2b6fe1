import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {expect, test, vi} from 'vitest'
import {siteWorld} from '../../support/site-world.ts'
import {need} from '../../support/skips.ts'

// Real pools, on machines that do other things too.
vi.setConfig({testTimeout: 30_000})

test('a site is again what it was at a snapshot, byte for byte; what came later is lost', async context => {
  need(context, 'root', 'zfs')
  const {services, admin, caller: alice, makeSite, volumes, done} = await siteWorld('zfs')
  await makeSite('data', {owner: 'alice'})
  const [{path} = {path: ''}] = await volumes()
  const bytes = Buffer.from(Array.from({length: 4096}, (_, at) => at % 251))
  mkdirSync(`${path}/deep`)
  writeFileSync(`${path}/deep/file`, bytes)
  const kept = await services.sites.snapshot({id: 'data', name: 'before'}, alice)
  expect(kept).toMatchObject({name: 'before', site: 'data'})
  writeFileSync(`${path}/deep/file`, 'spoilt')
  await expect(services.sites.snapshot({id: 'data', name: 'before'}, alice)).rejects.toMatchObject({code: 'name_taken'})
  await services.sites.snapshot({id: 'data', name: 'after'}, alice)

  const back = (confirm?: string) => services.sites.restore({id: 'data', snapshot: 'before', confirm}, alice)
  await expect(back()).rejects.toMatchObject({code: 'site_restore_unconfirmed'})
  await done(back('data'))

  expect(readFileSync(`${path}/deep/file`).equals(bytes)).toBe(true)
  expect((await services.sites.snapshots({id: 'data'}, alice)).map(({name}) => name)).toEqual(['before'])
  expect(await services.sites.get({id: 'data'}, admin)).toMatchObject({status: 'active'})
  await services.sites.deleteSnapshot({id: 'data', snapshot: 'before'}, alice)
  expect(await services.sites.snapshots({id: 'data'}, alice)).toEqual([])
  await expect(services.sites.deleteSnapshot({id: 'data', snapshot: 'before'}, alice)).rejects.toMatchObject({
    kind: 'not_found',
  })
})

test('a site that is mounted is not restored under its instances', async context => {
  need(context, 'root', 'zfs')
  const {services, admin, makeSite} = await siteWorld('zfs')
  await makeSite('data')
  await services.sites.snapshot({id: 'data', name: 'before'}, admin)
  await services.claims.submit({image: 'busybox', volumes: [{site: 'data', path: '/data'}]}, admin)

  await expect(services.sites.restore({id: 'data', snapshot: 'before', confirm: 'data'}, admin)).rejects.toMatchObject({
    code: 'site_in_use',
  })
  expect(await services.sites.get({id: 'data'}, admin)).toMatchObject({status: 'active'})
})

test('a clone is a site of its own with a quota of its own, and holds its first one fast', async context => {
  need(context, 'root', 'zfs')
  const {services, admin, makeSite, volumes, done, ended} = await siteWorld('zfs')
  await makeSite('data')
  const [{path} = {path: ''}] = await volumes()
  writeFileSync(`${path}/file`, 'old')
  await services.sites.snapshot({id: 'data', name: 'before'}, admin)
  writeFileSync(`${path}/file`, 'new')

  const input = {id: 'data', snapshot: 'before', name: 'copy', quotaBytes: 32 * 2 ** 20, owner: 'alice'}
  await done(services.sites.clone(input, admin))
  const copy = await services.sites.get({id: 'copy'}, admin)
  expect(copy).toMatchObject({owner: 'alice', status: 'active', quotaState: 'enforced', quotaBytes: 32 * 2 ** 20})
  const at = (await volumes()).find(({volume}) => volume === 'copy')!.path
  expect(readFileSync(`${at}/file`, 'utf8')).toBe('old')
  writeFileSync(`${at}/file`, 'other')
  expect(readFileSync(`${path}/file`, 'utf8')).toBe('new')

  const {task} = await services.sites.delete({id: 'data', confirm: 'data'}, admin)
  expect(await ended(task!.id)).toMatchObject({status: 'failed', error: {code: 'STORAGE_NEEDED'}})
  expect(await services.sites.get({id: 'data'}, admin)).toMatchObject({status: 'active'})
  await done(services.sites.delete({id: 'copy', confirm: 'copy'}, admin))
  await done(services.sites.delete({id: 'data', confirm: 'data'}, admin))
})

test('where the storage has no snapshots that is said, and nothing is promised', async () => {
  const {services, admin, makeSite} = await siteWorld('directory')
  await makeSite('data')

  await expect(services.sites.snapshot({id: 'data'}, admin)).rejects.toMatchObject({code: 'storage_invalid'})
  await expect(services.sites.snapshots({id: 'data'}, admin)).rejects.toMatchObject({code: 'storage_invalid'})
  await services.backupTargets.create({name: 'disk', type: 'directory', path: '/srv'}, admin)
  await expect(services.backups.create({site: 'data', target: 'disk'}, admin)).rejects.toMatchObject({
    ...{code: 'input_invalid', details: {field: 'site'}},
  })
})
