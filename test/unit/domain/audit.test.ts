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
