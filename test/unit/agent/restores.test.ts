import {describe, expect, test} from 'vitest'
import {stateInMemory} from '../../../src/agent/state-file.ts'
import {RuntimeError} from '../../../src/runtime/driver.ts'
import {label} from '../../../src/runtime/labels.ts'
import {desired, wanted} from './examples.ts'
import {TestNode} from './node.ts'

const name = {instanceId: 'instance-1', snapshotId: 'snapshot-1'}

/** An instance that runs, and a snapshot of it. */
async function running(node: TestNode) {
  const life = await node.boot()
  await life.agent.setDesired(desired(1, wanted({cpus: 1})))
  const before = await node.until(() => life.told()?.state === 'running' && life.told())
  const {imageId} = await node.engine.snapshots!.create(before.containerId, name)
  return {...life, before, restored: {count: 1, imageId}}
}

const containers = async ({engine}: TestNode) =>
  (await engine.list()).map(({name, image, state, labels}) => [name, image, state, labels[label.restored]])

describe('a restore', () => {
  test('replaces the container by one of the snapshot that is all the same, and tells when the old one is gone', async () => {
    const node = new TestNode()
    const {agent, told, before, restored} = await running(node)

    await agent.setDesired(desired(2, wanted({cpus: 1, restored, generation: 2})))
    await node.until(() => told()?.restored === 1 && told()?.state === 'running')
    await agent.idle()

    expect(await containers(node)).toEqual([['gpuctl-claim-1-1-1', restored.imageId, 'running', '1']])
    expect(told()).toMatchObject({generation: 2, restored: 1, state: 'running'})
    expect(told()?.containerId).not.toBe(before.containerId)
    expect(told()).not.toHaveProperty('refusedRestore')
    await agent.setDesired(desired(3, wanted({cpus: 1, restored, state: 'removed', generation: 2})))
    await node.until(() => told()?.state === 'removed')
    expect(await containers(node)).toEqual([])
  })

  test('of one that is stopped leaves it stopped, and its next start is that of the new container', async () => {
    const node = new TestNode()
    const {agent, told, restored} = await running(node)
    await agent.setDesired(desired(2, wanted({state: 'stopped'})))
    await node.until(() => told()?.state === 'exited')

    await agent.setDesired(desired(3, wanted({state: 'stopped', restored})))
    await node.until(() => told()?.restored === 1)
    expect(await containers(node)).toEqual([['gpuctl-claim-1-1-1', restored.imageId, 'created', '1']])
    expect(told()?.state).toBe('exited')

    await agent.setDesired(desired(4, wanted({restored, generation: 2})))
    await node.until(() => told()?.state === 'running' && told()?.generation === 2)
  })

  test.each(['create', 'start'] as const)('whose %s fails lets the old container go on', async call => {
    const node = new TestNode()
    const {agent: first, before, restored} = await running(node)
    await first.stop()
    let isBroken = true
    const fail = (one: string) => {
      if (one !== call || !isBroken) return
      isBroken = false
      throw new RuntimeError('invalid', 'no space left')
    }
    const {agent, told} = await node.boot({doubts: {before: fail}})

    await agent.setDesired(desired(2, wanted({restored, generation: 2})))
    await node.until(() => told()?.state === 'running' && told()?.generation === 2)
    await agent.idle()

    expect(told()).toMatchObject({
      containerId: before.containerId,
      refusedRestore: {count: 1, message: 'no space left'},
    })
    expect(await containers(node)).toEqual([['gpuctl-claim-1-1', 'cuda', 'running', undefined]])
    await agent.setDesired(desired(3, wanted({generation: 2})))
    await agent.idle()
    expect(told()).toMatchObject({containerId: before.containerId, state: 'running', generation: 2})
    await agent.setDesired(desired(4, wanted({restored: {...restored, count: 2}, generation: 3})))
    await node.until(() => told()?.restored === 2 && told()?.state === 'running')
    expect(await containers(node)).toEqual([['gpuctl-claim-1-1-2', restored.imageId, 'running', '2']])
  })

  test('that failed leaves the old container with the limits that are wanted now', async () => {
    const node = new TestNode()
    const {agent: first, before, restored} = await running(node)
    await first.stop()
    const limits: unknown[] = []
    const fail = (one: string, args: unknown[]) => {
      if (one === 'setLimits') limits.push(args)
      if (one === 'start' && args[0] !== before.containerId) throw new RuntimeError('invalid', 'no space left')
    }
    const {agent, told} = await node.boot({doubts: {before: fail}})

    await agent.setDesired(desired(2, wanted({cpus: 4, restored, generation: 2})))
    await node.until(() => told()?.state === 'running' && told()?.generation === 2)
    await agent.idle()

    expect(told()).toMatchObject({containerId: before.containerId, refusedRestore: {count: 1}})
    expect(limits).toEqual([[before.containerId, {cpus: 4}]])
  })

  test.each(['stop', 'create', 'start', 'remove'] as const)('goes on after a kill right behind its %s', async call => {
    const node = new TestNode()
    const {agent: first, restored} = await running(node)
    await first.stop()
    let isDead = false
    const after = (one: string) => {
      if (one !== call) return
      isDead = true
      return new Promise<never>(() => {})
    }
    const disk = {
      ...node.disk,
      load: () => node.disk.load(),
      save: async (state: Parameters<typeof node.disk.save>[0]) => (isDead ? undefined : node.disk.save(state)),
    }
    const killed = await node.boot({doubts: {after}, disk})
    await killed.agent.setDesired(desired(2, wanted({restored, generation: 2})))
    await node.until(() => isDead)

    const {agent, told} = await node.boot()
    await agent.setDesired(desired(2, wanted({restored, generation: 2})))
    await node.until(() => told()?.restored === 1 && told()?.state === 'running')
    await agent.idle()

    expect(await containers(node)).toEqual([['gpuctl-claim-1-1-1', restored.imageId, 'running', '1']])
  })

  test('after the loss of all that the agent remembered leaves one container', async () => {
    const node = new TestNode()
    const {agent: first, restored} = await running(node)
    await first.stop()
    const killed = await node.boot({doubts: {before: one => (one === 'start' ? new Promise(() => {}) : undefined)}})
    await killed.agent.setDesired(desired(2, wanted({restored, generation: 2})))
    await node.until(async () => (await node.engine.list()).length === 2)

    const {agent, told} = await node.boot({disk: stateInMemory()})
    await agent.setDesired(desired(2, wanted({restored, generation: 2})))
    await node.until(async () => told()?.restored === 1 && (await node.engine.list()).length === 1)

    expect(await containers(node)).toEqual([['gpuctl-claim-1-1-1', restored.imageId, 'running', '1']])
  })
})
