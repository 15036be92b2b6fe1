import {expect, test} from 'vitest'
import {wavesOf} from '../../../src/domain/services/node-upgrades.ts'
import {gpuNode, world} from '../../support/world.ts'

const names = ['one', 'two', 'three', 'four', 'five']
const fleet = () => world({nodes: names.map(name => gpuNode(name, 1))})

test('a canary first, then waves of as many as may be away at once', () => {
  const targets = [1, 2, 3, 4, 5, 6, 7]

  expect(wavesOf(targets, {canary: 1, atOnce: 3})).toEqual([[1], [2, 3, 4], [5, 6, 7]])
  expect(wavesOf(targets, {canary: 0, atOnce: 4})).toEqual([
    [1, 2, 3, 4],
    [5, 6, 7],
  ])
  expect(wavesOf(targets, {canary: 9, atOnce: 1})).toEqual([targets])
  expect(wavesOf([], {canary: 1, atOnce: 1})).toEqual([])
})

test('every agent gets the version of the server; the ones that have it, or a newer one, are left out', async () => {
  const {services, admin, agent, pass} = await fleet()
  agent('two').runs = '0.1.0'
  agent('three').runs = '0.2.0'
  agent('five').isConnected = false

  const plan = await services.nodes.upgrade({all: true, maxUnavailable: '50%', dryRun: true}, admin)
  const begun = await services.nodes.upgrade({all: true, maxUnavailable: '50%'}, admin)
  await pass(30_000)

  expect(plan).toMatchObject({task: null, version: '0.1.0', waves: [['one'], ['four']]})
  expect(plan.skipped).toEqual([
    {node: 'two', reason: 'it runs 0.1.0', isCurrent: true},
    {node: 'three', reason: 'it runs the newer 0.2.0', isCurrent: true},
    {node: 'five', reason: 'it is not connected', isCurrent: false},
  ])
  expect(await services.tasks.get({id: begun.task!.id}, admin)).toMatchObject({
    ...{status: 'completed', object: 'one and 1 more to 0.1.0', result: {version: '0.1.0', upgraded: ['one', 'four']}},
  })
  expect(names.map(name => agent(name).runs)).toEqual(['0.1.0', '0.1.0', '0.2.0', '0.1.0', '0.0.9'])
})

test('the first failure ends the waves behind it, and says which nodes are left', async () => {
  const {services, admin, agent, pass} = await fleet()
  agent('three').breaks = true

  const {task} = await services.nodes.upgrade({all: true, maxUnavailable: '2'}, admin)
  await pass(30_000)

  const ended = await services.tasks.get({id: task!.id}, admin)
  expect(ended).toMatchObject({status: 'failed', steps: [{state: 'done'}, {state: 'failed'}, {state: 'waiting'}]})
  expect(ended.error?.message).toBe(
    'The upgrade to 0.1.0 was stopped. three: It ended 3 times. It runs 0.0.9 again. Not upgraded: three, four, five.',
  )
  expect(names.map(name => agent(name).runs)).toEqual(['0.1.0', '0.1.0', '0.0.9', '0.0.9', '0.0.9'])
  agent('three').breaks = false
  const again = await services.nodes.upgrade({nodes: ['three', 'one', agent('three').nodeId]}, admin)
  await pass(30_000)
  expect(again).toMatchObject({waves: [['three']], skipped: [{node: 'one'}]})
  expect(agent('three').runs).toBe('0.1.0')
})

test('an agent that goes away meanwhile is waited for, four minutes at most', async () => {
  const {services, admin, agent, pass} = await fleet()
  const {task} = await services.nodes.upgrade({nodes: ['one']}, admin)
  agent('one').breaks = true
  agent('one').isConnected = false
  await pass(200_000)
  const message = 'Waiting: To go over to 0.1.0: one.'
  expect(await services.tasks.get({id: task!.id}, admin)).toMatchObject({status: 'running', message})
  await pass(60_000)

  expect((await services.tasks.get({id: task!.id}, admin)).error?.message).toContain(
    'one: It did not come back with it.',
  )
})

test('nodes or all, and a count that is one', async () => {
  const {services, admin, caller} = await fleet()

  await expect(services.nodes.upgrade({}, admin)).rejects.toMatchObject({code: 'input_invalid'})
  await expect(services.nodes.upgrade({all: true, nodes: ['one']}, admin)).rejects.toMatchObject({
    code: 'input_invalid',
  })
  await expect(services.nodes.upgrade({nodes: ['none']}, caller)).rejects.toMatchObject({code: 'not_found'})
})
