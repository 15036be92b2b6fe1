import {expect, test} from 'vitest'
import {gpuNode, world} from '../../support/world.ts'

const fleet = () => world({nodes: [gpuNode('one', 1), gpuNode('two', 1), gpuNode('bare', 0, {images: false})]})
type Fleet = Awaited<ReturnType<typeof fleet>>

/** Until the pulls have begun on the nodes; they wait there. */
async function begun({agent}: Fleet, image: string, ...names: string[]): Promise<void> {
  await expect.poll(() => names.every(name => agent(name).pulls.has(image)), {interval: 5}).toBe(true)
}

test('an image of the catalogue is fetched on all nodes that have images, with the progress of each', async () => {
  const place = await fleet()
  const {services, admin, agent, settle} = place
  await services.images.create({name: 'cuda', address: 'nvidia/cuda:12.0'}, admin)

  const tasks = await services.images.pull({image: 'cuda'}, admin)
  await begun(place, 'nvidia/cuda:12.0', 'one', 'two')

  expect(tasks.map(({node, object, type}) => ({node, object, type}))).toEqual([
    {node: 'one', object: 'nvidia/cuda:12.0', type: 'image.pull'},
    {node: 'two', object: 'nvidia/cuda:12.0', type: 'image.pull'},
  ])
  await expect(services.images.pull({image: 'cuda', nodes: ['one']}, admin)).rejects.toMatchObject({
    code: 'task_conflict',
  })
  agent('one').pulls.get('nvidia/cuda:12.0')?.()
  agent('two').pulls.get('nvidia/cuda:12.0')?.()
  await settle()
  for (const {id} of tasks) {
    expect(await services.tasks.get({id}, admin)).toMatchObject({status: 'completed', progress: 100})
  }
})

test('one that cannot be had says why; one that is cancelled is broken off on its node', async () => {
  const place = await fleet()
  const {services, admin, agent, settle} = place
  const [missing] = await services.images.pull({image: 'missing', nodes: ['one']}, admin)
  const [large] = await services.images.pull({image: 'large', nodes: ['two']}, admin)
  await begun(place, 'missing', 'one')
  await begun(place, 'large', 'two')

  agent('one').pulls.get('missing')?.()
  await services.tasks.cancel({id: large!.id}, admin)
  await settle()

  expect(await services.tasks.get({id: missing!.id}, admin)).toMatchObject({
    status: 'failed',
    error: {code: 'IMAGE_NOT_PULLED', message: 'Image missing could not be pulled on one: no missing'},
  })
  expect(await services.tasks.get({id: large!.id}, admin)).toMatchObject({status: 'failed', cancelling: true})
  expect(agent('two').pulls.size).toBe(0)
})

test('a node without images is refused, and so is one of others', async () => {
  const {services, admin, makeUser} = await fleet()
  const keeper = await makeUser('keeper', {role: 'node_admin'})
  await services.users.assign({id: 'keeper', node: 'bare'}, admin)

  await expect(services.images.pull({image: 'cuda', nodes: ['bare']}, keeper)).rejects.toMatchObject({
    code: 'input_invalid',
  })
  await expect(services.images.pull({image: 'cuda', nodes: ['one']}, keeper)).rejects.toMatchObject({
    code: 'node_not_assigned',
  })
  await expect(services.images.pull({image: 'cuda'}, keeper)).rejects.toMatchObject({code: 'not_found'})
})
