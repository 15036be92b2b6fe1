import fc from 'fast-check'
import {expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

test('F15: whatever starts, stops and restarts race, the instance ends as the last acknowledged one says', async () => {
  const {services, caller, settle, agent, store} = await world({nodes: [gpuNode('one', 1)]})
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('start', 'stop', 'restart'), {minLength: 1, maxLength: 6}),
      fc.boolean(),
      async (verbs, waits) => {
        const id = `box-${++round}`
        await services.claims.submit({image: 'cuda', name: id, gpus: {count: 1}}, caller)
        await settle()
        for (const verb of verbs) {
          await services.instances[verb as 'start' | 'stop' | 'restart']({id}, caller)
          if (waits) await settle()
        }
        await settle()

        const wanted = (await services.instances.get({id}, caller)).desired
        expect(wanted).toBe(verbs.at(-1) === 'stop' ? 'stopped' : 'running')
        expect((await services.instances.get({id}, caller)).status).toBe(wanted === 'running' ? 'running' : 'exited')
        expect(agent('one').running()).toHaveLength(wanted === 'running' ? 1 : 0)
        expect((await services.claims.get({id}, caller)).status.phase).toBe('Running')

        await services.instances.delete({id}, caller)
        await settle()
        expect(agent('one').containers.size).toBe(0)
        expect(await store.allocations.listLive()).toEqual([])
      },
    ),
    {numRuns: 25},
  )
})

test('F15: a delete while the container is being created leaves nothing', async () => {
  const {services, caller, settle, agent, store} = await world({nodes: [gpuNode('one', 1)]})
  for (let round = 0; round < 20; round++) {
    const {id} = await services.claims.submit({image: 'cuda', gpus: {count: 1}}, caller)
    for (let turn = 0; turn < round; turn++) await new Promise(resolve => setImmediate(resolve))
    await services.claims.cancel({id}, caller)
    await settle()

    expect(agent('one').containers.size).toBe(0)
    expect(await store.allocations.listLive()).toEqual([])
  }
})

test('the kept container of a finished instance goes when the instance is deleted', async () => {
  const {services, caller, settle, agent} = await world({nodes: [gpuNode('one', 1)]})
  await services.claims.submit({image: 'cuda', name: 'done', command: ['exit', '0'], gpus: {count: 1}}, caller)
  await settle()
  expect(agent('one').containers.size).toBe(1)

  await services.instances.delete({id: 'done'}, caller)
  await settle()

  expect(agent('one').containers.size).toBe(0)
  expect(await services.instances.get({id: 'done'}, caller)).toMatchObject({desired: 'deleted', status: 'exited'})
})
