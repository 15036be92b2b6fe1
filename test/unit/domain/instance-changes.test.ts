import {expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

const one = {image: 'cuda', gpus: {count: 1}}

test('an instance and its claim are renamed while the container goes on', async () => {
  const {services, caller, admin, settle, agent} = await world({nodes: [gpuNode('one', 2)]})
  await services.claims.submit({...one, name: 'train'}, caller)
  await services.claims.submit({...one, name: 'other'}, caller)
  await settle()
  const starts = agent('one')
    .running()
    .map(({starts}) => starts)

  const renamed = await services.instances.update({id: 'train', name: 'train-old', remark: 'until Friday'}, caller)
  await settle()

  expect(renamed).toMatchObject({name: 'train-old', claim: 'train-old', remark: 'until Friday'})
  expect(await services.claims.get({id: 'train-old'}, caller)).toMatchObject({status: {phase: 'Running'}})
  expect((await services.instances.list({name: 'train-old'}, caller)).map(({id}) => id)).toEqual([renamed.id])
  await expect(services.instances.get({id: 'train'}, caller)).rejects.toMatchObject({code: 'not_found'})
  expect(
    agent('one')
      .running()
      .map(({starts}) => starts),
  ).toEqual(starts)
  expect(await services.events.list({kind: 'instance', object: renamed.id}, caller)).toContainEqual(
    expect.objectContaining({type: 'Renamed', message: 'alice renamed train to train-old.'}),
  )
  expect(await services.audit.list({action: 'instances.update'}, admin)).toMatchObject([
    {object: renamed.id, details: {name: 'train-old', before: 'train', remark: 'until Friday'}},
  ])
  expect(await services.claims.submit({...one, name: 'train'}, caller)).toMatchObject({name: 'train'})
})

test('a name that a live claim of the owner has is taken, and nothing is changed', async () => {
  const {services, caller, settle, makeUser} = await world({nodes: [gpuNode('one', 2)]})
  for (const name of ['a', 'b']) await services.claims.submit({...one, name}, caller)
  await settle()

  await expect(services.instances.update({id: 'a', name: 'b', remark: 'x'}, caller)).rejects.toMatchObject({
    code: 'name_taken',
  })
  expect(await services.instances.get({id: 'a'}, caller)).toMatchObject({name: 'a', claim: 'a', remark: ''})
  const bob = await makeUser('bob', {gpuQuota: 1})
  await expect(services.instances.update({id: 'a', name: 'c'}, bob)).rejects.toMatchObject({code: 'not_found'})
})

test('other limits reach the node within what it has to give, and the rest is for others', async () => {
  const {services, caller, settle, agent} = await world({nodes: [gpuNode('one', 1, {cpus: 8, memoryMiB: 16_384})]})
  await services.claims.submit({image: 'any', name: 'small', cpus: 2, memoryMiB: 4096}, caller)
  await services.claims.submit({image: 'any', name: 'large', cpus: 4, memoryMiB: 8192}, caller)
  await settle()
  const update = (change: object) => services.instances.update({id: 'small', ...change}, caller)

  await expect(update({cpus: 5})).rejects.toMatchObject({
    code: 'limits_impossible',
    message: 'small cannot have such limits: one has 4 CPUs free, 5 asked.',
  })
  await expect(update({memoryMiB: 8193})).rejects.toMatchObject({code: 'limits_impossible'})
  expect(await update({cpus: 4, memoryMiB: 8192, restart: 'on-failure'})).toMatchObject({cpus: 4, memoryMiB: 8192})
  await settle()

  const wanted = agent('one').desired?.instances.find(({name}) => name === 'small')
  expect(wanted).toMatchObject({cpus: 4, memoryMiB: 8192, generation: 1})
  expect(await services.claims.get({id: 'small'}, caller)).toMatchObject({spec: {cpus: 4, restart: 'on-failure'}})
  const third = await services.claims.explainSpec({image: 'any', cpus: 1}, caller)
  expect(third.nodes).toMatchObject([{fits: false, reason: '0 CPUs free, 1 asked'}])
  expect(await update({cpus: 1})).toMatchObject({cpus: 1, memoryMiB: 8192})
  expect(await services.events.list({kind: 'instance'}, caller)).toContainEqual(
    expect.objectContaining({type: 'Updated', message: 'alice gave small 1 CPUs.'}),
  )
})

test('limits that were sold with a spec only a super administrator changes', async () => {
  const {services, caller, admin, settle} = await world({nodes: [gpuNode('one', 1)]})
  await services.specs.create({name: 'tiny', cpus: 2, memoryGiB: 2, listed: true} as never, admin)
  await services.instances.create({image: 'any', spec: 'tiny', name: 'sold'}, caller)
  await settle()

  await expect(services.instances.update({id: 'sold', cpus: 4}, caller)).rejects.toMatchObject({
    code: 'limits_sold',
    message: 'The limits of sold are those of its spec tiny.',
  })
  expect(await services.instances.update({id: 'sold', cpus: 2}, caller)).toMatchObject({cpus: 2})
  expect(await services.instances.update({id: 'sold', restart: 'always'}, caller)).toMatchObject({cpus: 2})
  expect(await services.instances.update({id: 'sold', cpus: 4}, admin)).toMatchObject({cpus: 4})
  await services.claims.cancel({id: 'sold'}, caller)
  await expect(services.instances.update({id: 'sold', memoryMiB: 64}, admin)).rejects.toMatchObject({
    code: 'instance_finished',
  })
})
