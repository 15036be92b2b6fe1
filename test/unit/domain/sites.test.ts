import {describe, expect, test} from 'vitest'
import type {Caller} from '../../../src/domain/caller.ts'
import {NodeHistory} from '../../../src/domain/node-history.ts'
import {bytesPerGb, quotaUse} from '../../../src/domain/storage-quota.ts'
import {ManualClock} from '../../../src/platform/clock.ts'
import {need} from '../../support/skips.ts'
import {gpuNode, world} from '../../support/world.ts'

const gb = (count: number) => Math.round(count * bytesPerGb)
const backup = {sizeBytes: gb(1), path: 's3://bucket/one', type: 'full', status: 'SUCCESS'} as const

test('W6.5-16: exactly 80 % is a warning, exactly 100 % is not over, and nothing fits into 0', () => {
  expect(quotaUse(gb(3.2), gb(4))).toEqual({usagePercent: 80, isOverQuota: false, isWarning: true})
  expect(quotaUse(gb(4), gb(4))).toEqual({usagePercent: 100, isOverQuota: false, isWarning: true})
  expect(quotaUse(gb(4) + 1, gb(4))).toMatchObject({isOverQuota: true, isWarning: false})
  expect(quotaUse(gb(3.19), gb(4))).toMatchObject({isWarning: false})
  expect(quotaUse(0, 0)).toEqual({usagePercent: 0, isOverQuota: false, isWarning: false})
  expect(quotaUse(1, 0)).toEqual({usagePercent: 0, isOverQuota: true, isWarning: false})
})

test('the load of a node is kept for ten minutes, one sample each half minute, the newest first', () => {
  const clock = new ManualClock()
  const history = new NodeHistory({clock})
  for (let second = 0; second < 3600; second++) {
    history.add('n', {cpuPercent: second, diskPercent: null, activeBackups: 0})
    clock.advance(1_000)
  }

  const cpus = history.of('n').map(({cpuPercent}) => cpuPercent)
  expect(cpus.length).toBeLessThanOrEqual(21)
  expect(cpus.slice(0, 3)).toEqual([3599, 3569, 3539])
  clock.advance(11 * 60_000)
  expect(history.of('n')).toEqual([])
})

describe.each(['sqlite', 'postgres'] as const)('sites and backups in %s', kind => {
  const open = async (context: {skip(note?: string): never}) => {
    if (kind === 'postgres') need(context, 'postgres')
    const one = await world({nodes: [gpuNode('a', 0), gpuNode('b', 0)], store: kind})
    const [a, b] = await one.services.nodes.list({}, one.admin)
    return {...one, services: one.services, store: one.store, a: a!.id, b: b!.id}
  }

  test('a node tells what its sites use, and its quota shows who uses how much', async context => {
    const {services, admin, a} = await open(context)
    await services.nodes.setQuota({id: a, storageQuotaGb: 100}, admin)
    const told = [
      {name: 'shop', usedBytes: gb(3.2)},
      {name: 'main', usedBytes: gb(5.2), wpPath: '/srv/main', dbName: 'main'},
    ]
    await services.sites.report(a, {sites: told})
    await services.sites.report(a, {sites: told})

    const sites = await services.sites.list({}, admin)
    expect(sites.map(({name, node, quotaBytes, dbName}) => ({name, node, quotaBytes, dbName}))).toEqual([
      {name: 'shop', node: 'a', quotaBytes: gb(10), dbName: null},
      {name: 'main', node: 'a', quotaBytes: gb(10), dbName: 'main'},
    ])
    await services.sites.setQuota({id: sites[0]!.id, quotaBytes: gb(4)}, admin)
    expect(await services.nodes.quotaStatus({id: a}, admin)).toMatchObject({
      ...{hostname: 'a', usedBytes: gb(8.4), storageQuotaGb: 100, usagePercent: 8.4, isOverQuota: false},
      ...{sitesCount: 2, sitesOverQuota: 0, sitesWarning: 1},
      sites: [
        {name: 'main', usagePercent: 52},
        {name: 'shop', usagePercent: 80},
      ],
    })
  })

  test('the quotas of all sites fit into that of the node, also when two are raised at once', async context => {
    const {services, admin, a} = await open(context)
    await services.nodes.setQuota({id: a, storageQuotaGb: 30}, admin)
    await services.sites.report(a, {
      sites: [
        {name: 'one', usedBytes: 0},
        {name: 'two', usedBytes: 0},
      ],
    })

    const raise = (id: string) => services.sites.setQuota({id, quotaBytes: gb(18)}, admin)
    const ends = await Promise.allSettled([raise('one'), raise('two')])

    expect(ends.map(({status}) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const refused = ends.find(one => one.status === 'rejected')
    expect(refused?.reason).toMatchObject({code: 'site_over_quota', details: {asked: 18, left: 12}})
    await services.nodes.setQuota({id: a, storageQuotaGb: 1}, admin)
    await services.sites.setQuota({id: 'two', quotaBytes: gb(2)}, admin)
  })

  test('a node quota above what there is, is refused; 0 means 0', async context => {
    const {services, admin, a} = await open(context)
    expect(await services.nodes.quota({id: a}, admin)).toMatchObject({storageQuotaGb: 0, totalAvailableGb: 1000})

    const tooMuch = services.nodes.setQuota({id: a, storageQuotaGb: 1001}, admin)
    await expect(tooMuch).rejects.toMatchObject({code: 'quota_too_large', kind: 'invalid'})
    await services.nodes.setQuota({id: a, storageQuotaGb: 1500, totalAvailableGb: 2000}, admin)
    expect(await services.nodes.setQuota({id: a, storageQuotaGb: 0}, admin)).toMatchObject({
      ...{storageQuotaGb: 0, totalAvailableGb: 2000},
    })
  })

  test('backups are listed the newest first, a repeated one is one, and the next one is checked for room', async context => {
    const {services, admin, a} = await open(context)
    await services.nodes.setQuota({id: a, storageQuotaGb: 100}, admin)
    await services.sites.report(a, {sites: [{name: 'main', usedBytes: gb(8)}]})
    for (const [day, sizeBytes] of [
      ['02', gb(2)],
      ['03', gb(3)],
      ['01', gb(1)],
    ] as const) {
      const told = {...backup, site: 'main', filename: `main_${day}.tar.zst`, takenAt: `2026-01-${day}T01:02:03.5Z`}
      await services.backups.report(a, {...told, sizeBytes})
      await services.backups.report(a, {...told, sizeBytes})
    }

    const found = await services.backups.list({node: 'a'}, admin)
    expect(found.map(({filename}) => filename)).toEqual(['main_03.tar.zst', 'main_02.tar.zst', 'main_01.tar.zst'])
    expect(found[0]).toMatchObject({takenAt: '2026-01-03T01:02:03.500000Z', site: 'main', checksum: null})
    expect(await services.backups.count({}, admin)).toBe(3)
    expect(await services.backups.list({limit: 1, offset: 2}, admin)).toMatchObject([{filename: 'main_01.tar.zst'}])
    expect(await services.sites.get({id: 'main'}, admin)).toMatchObject({lastBackupAt: '2026-01-03T01:02:03.500000Z'})
    expect(await services.sites.checkQuota({id: 'main'}, admin)).toMatchObject({
      ...{nextBackupBytes: gb(3), fitsSite: false, fitsNode: true},
    })
    const elsewhere = services.backups.list({node: 'b', site: found[0]!.siteId}, admin)
    await expect(elsewhere).rejects.toMatchObject({code: 'site_elsewhere'})
  })

  test('T18: a node_admin sees the sites and backups of his nodes, and of no others', async context => {
    const {services, admin, makeUser, a, b} = await open(context)
    const ops: Caller = await makeUser('ops', {role: 'node_admin'})
    for (const id of [a, b]) {
      await services.sites.report(id, {sites: [{name: 'main', usedBytes: 1}]})
      const told = {...backup, site: 'main', filename: 'main.tar.zst', takenAt: '2026-01-01T00:00:00Z'}
      await services.backups.report(id, told)
    }
    const [ofA, ofB] = await services.sites.list({}, admin)
    expect(await services.sites.list({}, ops)).toEqual([])
    expect(await services.backups.list({}, ops)).toEqual([])

    expect(await services.users.assign({id: 'ops', node: 'a'}, admin)).toMatchObject({id: a, name: 'a'})
    await services.users.assign({id: 'ops', node: 'a'}, admin)

    expect(await services.users.nodes({id: 'ops'}, admin)).toMatchObject([{name: 'a'}])
    expect(await services.sites.list({}, ops)).toEqual([ofA])
    expect(await services.backups.list({}, ops)).toHaveLength(1)
    expect(await services.sites.get({id: 'main'}, ops)).toEqual(ofA)
    await expect(services.sites.get({id: ofB!.id}, ops)).rejects.toMatchObject({code: 'not_found'})
    await expect(services.sites.get({id: String(ofB!.number)}, ops)).rejects.toMatchObject({code: 'not_found'})
    await expect(services.sites.list({node: 'b'}, ops)).rejects.toMatchObject({code: 'node_not_assigned'})
    await expect(services.nodes.quotaStatus({id: b}, ops)).rejects.toMatchObject({code: 'node_not_assigned'})
    await expect(services.sites.setQuota({id: ofB!.id, quotaBytes: 1}, ops)).rejects.toMatchObject({code: 'not_found'})
    const [theirs] = await services.backups.list({node: 'b'}, admin)
    await expect(services.backups.get({id: theirs!.id}, ops)).rejects.toMatchObject({code: 'not_found'})

    await services.users.unassign({id: 'ops', node: 'a'}, admin)
    expect(await services.sites.list({}, ops)).toEqual([])
  })

  test('sites and assignments go with their node; backups stay', async context => {
    const {services, store, admin, makeUser, a} = await open(context)
    const ops = await makeUser('ops', {role: 'node_admin'})
    await services.users.assign({id: 'ops', node: 'a'}, admin)
    await services.sites.report(a, {sites: [{name: 'main', usedBytes: 1}]})
    const told = {...backup, site: 'main', filename: 'main.tar.zst', takenAt: '2026-01-01T00:00:00Z'}
    await services.backups.report(a, told)

    await services.nodes.delete({id: a}, admin)

    expect(await services.sites.list({}, admin)).toEqual([])
    expect(await store.nodeAdmins.nodesOf(ops.id)).toEqual([])
    expect(await services.backups.list({}, admin)).toHaveLength(1)
    await expect(services.sites.report(a, {sites: []})).rejects.toMatchObject({code: 'not_found'})
  })
})
