import {expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

const one = {image: 'cuda', gpus: {count: 1}}

test('a disabled GPU gets no new work, what runs on it goes on, and the claim that waits is told', async () => {
  const {services, admin, caller, settle} = await world({nodes: [gpuNode('one', 2)]})
  await services.claims.submit({...one, name: 'first'}, caller)
  await settle()
  const gpu = async (index: number) => (await services.gpus.list({}, admin)).find(one => one.index === index)

  expect(await services.gpus.disable({id: 'one:0', reason: 'ECC errors'}, admin)).toMatchObject({
    state: 'used',
    disabled: {reason: 'ECC errors', by: 'root'},
  })
  expect(await services.gpus.disable({id: 'GPU-one-1'}, admin)).toMatchObject({index: 1, state: 'disabled'})
  await services.claims.submit({...one, name: 'second'}, caller)
  await settle()

  expect((await services.claims.get({id: 'first'}, caller)).status.phase).toBe('Running')
  const explanation = await services.claims.explain({id: 'second'}, caller)
  expect(explanation).toMatchObject({
    possible: true,
    nodes: [{node: 'one', fits: false, reason: 'has 0 of 2 GPUs free, 2 disabled'}],
  })
  expect(await services.nodes.get({id: 'one'}, admin)).toMatchObject({gpusFree: 0})
  expect((await services.nodes.list({}, admin))[0]).toMatchObject({gpusFree: 0})
  expect((await services.server.status({}, admin)).gpus).toEqual({
    ...{total: 2, free: 0, used: 1, unavailable: 1, simulated: 2},
  })

  expect(await services.gpus.enable({id: 'one:1'}, admin)).toMatchObject({disabled: null})
  await settle()
  expect((await services.claims.get({id: 'second'}, caller)).status).toMatchObject({
    phase: 'Running',
    gpus: [{index: 1}],
  })
  expect(await gpu(0)).toMatchObject({state: 'used', disabled: {reason: 'ECC errors'}})
  const node = await services.nodes.get({id: 'one'}, admin)
  const events = await services.events.list({kind: 'node', object: node.id}, admin)
  expect(events.map(({type}) => type).filter(type => type.startsWith('Gpu'))).toEqual([
    ...['GpuDisabled', 'GpuDisabled', 'GpuEnabled'],
  ])
})

test('a disabled GPU stays so when the server starts again', async () => {
  const place = await world({nodes: [gpuNode('one', 1)]})
  await place.services.gpus.disable({id: 'one:0'}, place.admin)

  await place.restart()
  const claim = await place.services.claims.submit(one, place.caller)
  await place.settle()

  expect((await place.services.claims.get({id: claim.id}, place.caller)).status).toMatchObject({phase: 'Pending'})
})

test('GPUs are disabled by who administers their node; what is no GPU is said so', async () => {
  const {services, admin, makeUser} = await world({nodes: [gpuNode('one', 1), gpuNode('two', 1)]})
  const keeper = await makeUser('keeper', {role: 'node_admin'})
  await services.users.assign({id: 'keeper', node: 'one'}, admin)

  for (const verb of ['disable', 'enable'] as const) {
    expect(await services.gpus[verb]({id: 'one:0'}, keeper)).toMatchObject({node: 'one'})
    await expect(services.gpus[verb]({id: 'two:0'}, keeper)).rejects.toMatchObject({code: 'node_not_assigned'})
    await expect(services.gpus[verb]({id: 'GPU-two-0'}, keeper)).rejects.toMatchObject({code: 'node_not_assigned'})
    for (const id of ['one:7', 'three:0', 'GPU-none']) {
      await expect(services.gpus[verb]({id}, admin)).rejects.toMatchObject({code: 'not_found'})
    }
  }
})
