import {beforeEach, expect, onTestFinished, test} from 'vitest'
import {operator} from '../support/gpuctl.ts'
import {slowRegistry} from '../support/registry.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, wholeFleet} from '../support/whole-fleet.ts'

beforeEach(needEngine)

test('an image comes from a registry to the engine of a node, and the task tells how far it is', async () => {
  const fleet = await wholeFleet()
  const registry = await registryFor(fleet)

  const [task] = await fleet.client.call('images.pull', {image: registry.image, nodes: [fleet.nodeId]})
  const half = await eventually(
    async () => {
      const now = await fleet.client.call('tasks.get', {id: task!.id})
      return now.progress !== null && now.progress > 0 ? now : undefined
    },
    {withinMs: 30_000},
  )
  expect(half).toMatchObject({status: 'running', type: 'image.pull', object: registry.image})
  expect(half.progress).toBeLessThan(100)
  registry.release()

  await eventually(async () => (await fleet.client.call('tasks.get', {id: task!.id})).status === 'completed', {
    withinMs: 30_000,
  })
  expect((await fleet.docker.getImage(registry.image).inspect()).Config.Cmd).toEqual(['/noise'])
})

test('a pull that is cancelled is broken off at the registry', async () => {
  const fleet = await wholeFleet()
  const registry = await slowRegistry()
  const [task] = await fleet.client.call('images.pull', {image: registry.image})
  await eventually(() => registry.isAsked(), {what: 'the engine', withinMs: 30_000})

  await fleet.client.call('tasks.cancel', {id: task!.id})

  await eventually(() => registry.isLeft(), {what: 'the end of the pull', withinMs: 30_000})
  await eventually(async () => (await fleet.client.call('tasks.get', {id: task!.id})).status === 'failed', {
    withinMs: 30_000,
  })
  await expect(fleet.docker.getImage(registry.image).inspect()).rejects.toMatchObject({statusCode: 404})
})

test('image pull waits for all nodes; what no registry has ends with 1', async () => {
  const fleet = await wholeFleet()
  const registry = await registryFor(fleet)
  registry.release()
  const {run} = await operator({GPUCTL_SERVER: fleet.server.server, GPUCTL_TOKEN: fleet.server.token})

  expect(await run(['image', 'pull', registry.image, '--all', '--wait'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('completed'),
  })
  const gone = await run(['image', 'pull', `${registry.image.replace('/noise', '/none/of/it')}x y`, '--all', '--wait'])
  expect(gone).toMatchObject({code: 1, stdout: expect.stringContaining('is not the name of an image')})
  expect(await run(['image', 'pull', registry.image])).toMatchObject({code: 2})
})

/** What comes from it goes from the engine with the test. */
async function registryFor({docker}: Awaited<ReturnType<typeof wholeFleet>>) {
  const registry = await slowRegistry()
  onTestFinished(async () => {
    const image = docker.getImage(registry.image)
    await image.remove().catch(() => {})
  })
  return registry
}
