import {expect, test} from 'vitest'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {eventually} from '../support/wait.ts'

test('stats follow everything, or what is named by its kind; a name alone is an instance', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 2})
  const {run, ok, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  await plane.ok('claims.submit', {name: 'train', image: 'any', gpus: {count: 1}}, {token: plane.adminToken})
  await eventually(
    async () =>
      (await plane.ok<{status: string}>('instances.get', {id: 'train'}, {token: plane.adminToken})).status ===
      'running',
    {withinMs: 30_000},
  )

  const all = await json<{kind: string; name: string}[]>(['stats', '--once'])
  expect(all.map(({kind, name}) => `${kind}/${name}`)).toEqual(['node/sim-0001', 'instance/train'])
  expect((await ok(['stats', 'train', 'gpus/sim-0001:1', '--once'])).stdout).toMatch(
    /^gpu\/sim-0001:1\t.*\ninstance\/train\t.*\n$/,
  )
  expect(await run(['stats', 'node/none', '--once'])).toMatchObject({code: 3})
  expect(await run(['stats', 'none', '--once'])).toMatchObject({code: 3})
  expect(await run(['stats', 'image/x', '--once'])).toMatchObject({code: 2})
})
