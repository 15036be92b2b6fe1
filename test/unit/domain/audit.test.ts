import {expect, test} from 'vitest'
import {world} from '../../support/world.ts'

test('rows are picked by actor and time; a time that is none is refused and named', async () => {
  const {services, admin, clock} = await world()
  await services.images.create({name: 'before', address: 'busybox:1.35'}, admin)
  clock.advance(60_000)
  const since = new Date(clock.now()).toISOString()
  await services.images.create({name: 'after', address: 'busybox:1.35'}, admin)

  const all = await services.audit.list({actor: 'root', action: 'images.'}, admin)
  const late = await services.audit.list({actor: 'root', action: 'images.', since}, admin)

  expect([all.length, late.length]).toEqual([2, 1])
  expect(await services.audit.list({actor: 'nobody'}, admin)).toEqual([])
  await expect(services.audit.list({since: 'yesterday'}, admin)).rejects.toMatchObject({
    code: 'input_invalid',
    details: {field: 'since'},
  })
})

test('T31: rows older than the setting audit.keep are removed, which is a row of its own, and the rest is verified', async () => {
  const {services, admin, clock, store} = await world()
  for (const name of ['a', 'b', 'c']) await services.images.create({name, address: 'busybox:1.35'}, admin)
  const before = await services.audit.verify({}, admin)
  clock.advance(100 * 86_400_000)
  await services.server.maintain()
  expect(await services.audit.verify({}, admin)).toEqual(before)

  await services.settings.set({name: 'audit.keep', value: '90d'}, admin)
  clock.advance(3_600_000)
  await services.server.maintain()

  const rows = await store.audit.list(10)
  expect(rows.map(({action}) => action)).toEqual(['audit.prune', 'settings.set'])
  expect(rows[0]).toMatchObject({actor: 'system', details: {rows: before.checked}})
  expect(await services.audit.verify({}, admin)).toMatchObject({checked: 2, isDone: true, fault: null})
  await expect(services.audit.verify({after: 3}, admin)).rejects.toMatchObject({
    code: 'input_invalid',
    details: {field: 'hash'},
  })
})
