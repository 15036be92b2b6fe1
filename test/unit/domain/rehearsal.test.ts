import {mkdtemp} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test, vi} from 'vitest'
import type {Caller} from '../../../src/domain/caller.ts'
import {Rehearsed} from '../../../src/domain/rehearsal.ts'
import {siteWorld} from '../../support/site-world.ts'
import {need} from '../../support/skips.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {world} from '../../support/world.ts'

// Real volumes and backups, on machines that do other things too.
vi.setConfig({testTimeout: 60_000})

const trying = (caller: Caller): Caller => ({...caller, rehearses: true, requestId: 'tried'})

/** What it would write down. */
async function tried(work: Promise<unknown>): Promise<{messages: string[]; actions: string[]}> {
  const error = await work.then(
    () => undefined,
    one => one,
  )
  if (!(error instanceof Rehearsed)) throw error ?? new Error('It was done.')
  return {messages: error.messages, actions: error.actions}
}

test.each(['sqlite', 'postgres'] as const)('a change of one who rehearses is rolled back on %s', async store => {
  const {services, admin, store: kept} = await world({store})
  const input = {name: 'box', address: 'busybox'}
  const heard: unknown[] = []
  services.events.subscribe(event => heard.push(event))
  const lastEvent = async () => (await services.events.list({limit: 1000}, admin)).at(-1)?.number
  const before = await lastEvent()

  expect(await tried(services.images.create(input, trying(admin)))).toEqual({
    messages: [`${admin.username} put box into the catalogue.`],
    actions: ['images.create'],
  })
  expect(await services.images.list({}, admin)).toEqual([])
  expect({last: await lastEvent(), heard}).toEqual({last: before, heard: []})
  await services.images.create(input, admin)
  await expect(services.images.create(input, trying(admin))).rejects.toMatchObject({code: 'name_taken'})
  expect((await kept.audit.list(100)).map(({requestId}) => requestId)).not.toContain('tried')
})

test('nothing is done on a node, and no task begins, where work on sites and backups is only tried', async context => {
  need(context, 'root', 'zfs')
  const {services, admin, makeSite, done, store, pool} = await siteWorld('zfs')
  const trial = trying(admin)
  const actions = async (work: Promise<unknown>) => (await tried(work)).actions
  await makeSite('data')

  expect(await tried(services.sites.snapshot({id: 'data', name: 'a'}, trial))).toEqual({
    messages: [`zfs snapshot ${pool}/data@a`],
    actions: ['sites.snapshot'],
  })
  expect(await services.sites.snapshots({id: 'data'}, admin)).toEqual([])
  await services.sites.snapshot({id: 'data', name: 'a'}, admin)
  const gone = {id: 'data', snapshot: 'a'}
  expect(await tried(services.sites.deleteSnapshot(gone, trial))).toEqual({
    messages: [`zfs destroy ${pool}/data@a`],
    actions: ['sites.deleteSnapshot'],
  })
  expect(await services.sites.snapshots({id: 'data'}, admin)).toHaveLength(1)
  const schedule = {id: 'data', frequency: 'daily'} as const
  expect(await actions(services.sites.setSchedule(schedule, trial))).toEqual(['sites.setSchedule'])
  expect(await actions(services.sites.setQuota({id: 'data', quotaBytes: 32 * 2 ** 20}, trial))).toEqual([
    'sites.setQuota',
  ])
  expect(await services.sites.get({id: 'data'}, admin)).toMatchObject({
    scheduleFrequency: 'manual',
    quotaBytes: 16 * 2 ** 20,
  })

  const path = await mkdtemp(join(await temporaryDirectory(), 'backups-'))
  await services.backupTargets.create({name: 'disk', type: 'directory', path}, admin)
  const wish = {site: 'data', target: 'disk'}
  expect(await actions(services.backups.create(wish, trial))).toEqual(['tasks.submit backup.create'])
  expect(await services.backups.list({}, admin)).toEqual([])
  await done(services.backups.create(wish, admin))
  const [backup] = await services.backups.list({}, admin)
  const {id = '', filename = ''} = backup ?? {}
  expect(await actions(services.backups.verify({id}, trial))).toEqual(['tasks.submit backup.verify'])
  expect(await tried(services.backups.restore({id, site: 'copy'}, trial))).toEqual({
    messages: [`backup.restore ${filename}`, `Restoring ${filename} into copy on n1`, 'Setting the quota of copy'],
    actions: ['tasks.submit backup.restore'],
  })
  expect(await actions(services.backups.delete({id, confirm: filename}, trial))).toEqual(['tasks.submit backup.delete'])
  expect(await services.backups.list({}, admin)).toHaveLength(1)
  expect((await services.sites.list({}, admin)).map(({name}) => name)).toEqual(['data'])

  const member = {name: 'm-1', address: '10.0.0.7', master: '10.0.0.1'}
  expect(await actions(services.members.add(member, trial))).toEqual(['tasks.submit node.add'])
  expect((await services.nodes.list({}, admin)).map(({name}) => name)).toEqual(['n1'])
  const begun = (await services.tasks.list({}, admin)).map(({type}) => type).sort()
  expect(begun).toEqual(['backup.create', 'pool.create', 'site.create'])
  expect((await store.audit.list(1000)).map(({requestId}) => requestId)).not.toContain('tried')
})
