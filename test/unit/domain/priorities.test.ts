import {expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

const one = {image: 'cuda', gpus: {count: 1}}

/** One runs, three wait. */
async function queue() {
  const place = await world({nodes: [gpuNode('one', 1)]})
  for (const name of ['runs', 'a', 'b', 'c']) await place.services.claims.submit({...one, name}, place.caller)
  await place.settle()
  const order = async () => {
    await place.settle()
    const found = await place.services.claims.list({phase: 'Pending'}, place.caller)
    return found.sort((x, y) => (x.status.position ?? 0) - (y.status.position ?? 0)).map(({name}) => name)
  }
  return {...place, place, order}
}

test('another priority is another place at once, kept by the store, told and audited', async () => {
  const {services, caller, admin, order, settle} = await queue()

  expect(await services.claims.reprioritize({id: 'c', priority: 5}, caller)).toMatchObject({spec: {priority: 5}})
  expect(await order()).toEqual(['c', 'a', 'b'])
  await services.claims.reprioritize({id: 'a', priority: -1}, caller)
  expect(await order()).toEqual(['c', 'b', 'a'])
  await services.claims.cancel({id: 'runs'}, caller)
  await settle()

  expect((await services.claims.get({id: 'c'}, caller)).status.phase).toBe('Running')
  expect(await services.events.list({kind: 'claim', object: 'c'}, caller)).toContainEqual(
    expect.objectContaining({type: 'Reprioritized', message: 'alice gave c priority 5; it was 0.'}),
  )
  const rows = await services.audit.list({action: 'claims.reprioritize'}, admin)
  expect(rows.map(({details}) => details)).toEqual([
    expect.objectContaining({name: 'c', priority: 5, before: 0}),
    expect.objectContaining({name: 'a', priority: -1, before: 0}),
  ])
})

test('the order outlives the server', async () => {
  const {place} = await queue()
  await place.services.claims.reprioritize({id: 'b', priority: 7}, place.caller)

  await place.restart()

  const {status, spec} = await place.services.claims.get({id: 'b'}, place.caller)
  expect([status.position, spec.priority]).toEqual([1, 7])
})

test('to the front goes a claim by an administrator, with the least priority that does it', async () => {
  const {services, caller, admin, order} = await queue()

  await expect(services.claims.reprioritize({id: 'c', priority: 'front'}, caller)).rejects.toMatchObject({
    code: 'role_too_low',
  })
  expect(await services.claims.reprioritize({id: 'c', priority: 'front'}, admin)).toMatchObject({spec: {priority: 1}})
  expect(await services.claims.reprioritize({id: 'a', priority: 'front'}, admin)).toMatchObject({spec: {priority: 1}})
  expect(await order()).toEqual(['a', 'c', 'b'])
  expect(await services.claims.reprioritize({id: 'a', priority: 'front'}, admin)).toMatchObject({spec: {priority: 1}})
  await services.claims.reprioritize({id: 'a', priority: 100}, admin)
  await expect(services.claims.reprioritize({id: 'b', priority: 'front'}, admin)).rejects.toMatchObject({
    code: 'queue_front_taken',
    details: {first: 'a'},
  })
  await expect(services.claims.reprioritize({id: 'runs', priority: 'front'}, admin)).rejects.toMatchObject({
    code: 'claim_not_waiting',
  })
})

test('nobody but an administrator goes above the maximum of the owner, and no claim of others is there', async () => {
  const {services, makeUser, settle, admin} = await queue()
  const bob = await makeUser('bob', {gpuQuota: 4, maxPriority: 3})
  await services.claims.submit({...one, name: 'bobs'}, bob)
  await settle()

  await expect(services.claims.reprioritize({id: 'bobs', priority: 4}, bob)).rejects.toMatchObject({
    code: 'priority_too_high',
    details: {asked: 4, max: 3},
  })
  await expect(services.claims.reprioritize({id: 'c', priority: 1}, bob)).rejects.toMatchObject({code: 'not_found'})
  await services.claims.reprioritize({id: 'bobs', priority: 50}, admin)
  expect(await services.claims.reprioritize({id: 'bobs', priority: 20}, bob)).toMatchObject({spec: {priority: 20}})
  await services.claims.cancel({id: 'bobs'}, bob)
  await expect(services.claims.reprioritize({id: 'bobs', priority: 0}, bob)).rejects.toMatchObject({
    code: 'claim_finished',
  })
})
