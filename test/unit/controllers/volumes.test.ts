import {expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

async function withDisk(nodes = [gpuNode('gpu-1', 1)]) {
  const fleet = await world({nodes})
  const {services, admin, caller} = fleet
  await services.specs.create({name: 'disk', gpuCount: 1, dataDiskGiB: 10, systemDiskGiB: 20}, admin)
  const {id, claimId} = await services.instances.create(
    {name: 'a', image: 'cuda', spec: 'disk', restart: 'on-failure'},
    caller,
  )
  await fleet.settle()
  return Object.assign(fleet, {id, volume: `gpuctl-${claimId}-data`})
}

test('W3.3-4: a data disk is a volume at /data that is named after the claim, without the epoch', async () => {
  const {services, caller, agent, id, volume} = await withDisk()
  const [wanted] = agent('gpu-1').desired?.instances ?? []
  expect(wanted).toMatchObject({volumes: [{name: volume, path: '/data'}], systemDiskGiB: 20})
  expect((await services.instances.get({id}, caller)).volumes).toEqual([{name: volume, path: '/data'}])
})

test('W3.1-18: delete removes the container and its volumes', async () => {
  const {services, caller, agent, settle, store, id, volume} = await withDisk()
  expect([...agent('gpu-1').volumes]).toEqual([volume])
  await services.instances.delete({id}, caller)
  await settle()
  expect([...agent('gpu-1').volumes]).toEqual([])
  expect(agent('gpu-1').desired).toMatchObject({instances: [], goingVolumes: []})
  expect(await store.volumes.going(agent('gpu-1').nodeId)).toEqual([])
})

test('volumes of one that has ended stay until it is deleted', async () => {
  const {services, caller, agent, settle, pass, id, volume} = await withDisk()
  await agent('gpu-1').exit('a', 0)
  await settle()
  await pass(25 * 3_600_000, {beats: true})
  expect([...agent('gpu-1').volumes]).toEqual([volume])
  await services.instances.delete({id}, caller)
  await settle()
  expect([...agent('gpu-1').volumes]).toEqual([])
}, 30_000)

test('volumes can be kept', async () => {
  const {services, caller, agent, settle, id, volume} = await withDisk()
  await services.instances.delete({id, keepVolumes: true}, caller)
  await settle()
  expect(agent('gpu-1').containers.size).toBe(0)
  expect([...agent('gpu-1').volumes]).toEqual([volume])
})

test('a node that is away when its instance is deleted removes the volume when it is back', async () => {
  const fleet = await withDisk()
  const {caller, agent, settle, id, volume} = fleet
  await agent('gpu-1').disconnect()
  await fleet.services.instances.delete({id}, caller)
  await settle()
  expect([...agent('gpu-1').volumes]).toEqual([volume])

  await fleet.restart()
  await settle()
  expect([...agent('gpu-1').volumes]).toEqual([])
  expect(await fleet.store.volumes.going(agent('gpu-1').nodeId)).toEqual([])
})

test('one that moved leaves no volume behind on the node it came from', async () => {
  const fleet = await withDisk([gpuNode('gpu-1', 1), gpuNode('gpu-2', 1)])
  const {services, caller, settle, pass, id, volume} = fleet
  const from = fleet.agents().find(one => one.volumes.size > 0)!
  const to = fleet.agents().find(one => one !== from)!
  await from.disconnect()
  await pass(11 * 60_000)
  expect(await services.instances.get({id}, caller)).toMatchObject({node: to.spec.name, status: 'running'})
  expect([[...from.volumes], [...to.volumes]]).toEqual([[volume], [volume]])

  await services.instances.delete({id}, caller)
  await settle()
  await from.connect()
  await settle()
  expect([from.volumes.size, to.volumes.size]).toEqual([0, 0])
}, 30_000)

test('a node that is deleted takes what is known of its volumes with it', async () => {
  const {services, admin, agent, settle, store} = await withDisk()
  const {nodeId} = agent('gpu-1')
  await services.nodes.delete({id: 'gpu-1', confirm: 'gpu-1'}, admin)
  await settle()
  expect(await store.volumes.going(nodeId)).toEqual([])
})
