import {expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

/** A twentieth of an hour stands for one: machines that do not beat for hours would be given up. */
const partMs = 180_000
const near = (parts: number) => expect.closeTo(parts / 20, 3)

/** Alice held two cards for three parts of an hour, root one for one part by a spec, and another one since the last part. */
async function held() {
  const place = await world({nodes: [gpuNode('snug', 2), gpuNode('roomy', 4)]})
  const {services, admin, caller, clock, settle, pass} = place
  const startMs = clock.now()
  const {id} = await services.claims.submit({image: 'cuda', gpus: {count: 2}, name: 'train'}, caller)
  await settle()
  const spec = await services.specs.create({name: 'small', gpuCount: 1, pricePerHour: 1.5}, admin)
  await services.images.create({name: 'box', address: 'busybox'}, admin)
  await services.instances.create({image: 'box', spec: 'small', name: 'shop'}, admin)
  await settle()
  await services.specs.update({id: spec.id, pricePerHour: 99}, admin)
  await pass(partMs)
  await services.instances.delete({id: 'shop'}, admin)
  await settle()
  await pass(partMs)
  await services.claims.submit({image: 'cuda', gpus: {count: 1}, name: 'late'}, admin)
  await settle()
  await pass(partMs)
  await services.claims.cancel({id}, caller)
  await settle()
  const at = (parts: number) => new Date(startMs + parts * partMs).toISOString()
  return {...place, at}
}

test('GPU-hours count from when a card is given until it is given back, and cost the price of their day', async () => {
  const {services, admin, caller, at} = await held()

  const byUser = await services.usage.get({from: at(0)}, admin)
  const bySpec = await services.usage.get({from: at(0), by: 'spec'}, admin)

  expect(byUser.rows).toEqual([
    {name: 'alice', claims: 1, gpuHours: near(6), cost: 0},
    {name: 'root', claims: 2, gpuHours: near(2), cost: near(1.5)},
  ])
  expect(byUser.total).toEqual({claims: 3, gpuHours: near(8), cost: near(1.5)})
  expect(bySpec.rows).toEqual([
    {name: '', claims: 2, gpuHours: near(7), cost: 0},
    {name: 'small', claims: 1, gpuHours: near(1), cost: near(1.5)},
  ])
  // Who is no administrator sees what is his own.
  expect((await services.usage.get({from: at(0)}, caller)).rows).toEqual(byUser.rows.slice(0, 1))
})

test('only the part within the time counts, by node too', async () => {
  const {services, admin, at} = await held()

  const {rows, from, to} = await services.usage.get({from: at(1.5), to: at(2.5), by: 'node'}, admin)

  expect([from, to]).toEqual([at(1.5), at(2.5)])
  expect(rows.reduce((sum, {gpuHours}) => sum + gpuHours, 0)).toEqual(near(2 + 0.5))
  expect(rows.every(({name}) => ['snug', 'roomy'].includes(name))).toBe(true)
  await expect(services.usage.get({from: at(2), to: at(1)}, admin)).rejects.toMatchObject({code: 'input_invalid'})
  await expect(services.usage.get({from: 'monday'}, admin)).rejects.toMatchObject({details: {field: 'from'}})
})
