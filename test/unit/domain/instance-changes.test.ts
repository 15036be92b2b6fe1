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
