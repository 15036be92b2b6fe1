import {expect, test} from 'vitest'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'

test('a node is renamed and labelled, its GPUs are shown one by one, and the audit says who did it', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 2})
  const {run, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const [node] = await json<{id: string; name: string}[]>(['node', 'list'])
  if (!node) throw new Error('there is no node')

  expect(await run(['node', 'rename', node.name, 'rack-7'])).toMatchObject({
    code: 0,
    stdout: `${node.name} is now rack-7.\n`,
  })
  await run(['node', 'label', 'rack-7', 'rack=7', 'zone=a'])
  expect(await json(['node', 'label', 'rack-7', 'zone-', 'row=1'])).toMatchObject({labels: {rack: '7', row: '1'}})
  expect(await run(['node', 'label', 'rack-7', 'nonsense'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('KEY=VALUE'),
  })
  const gpu = await json<{uuid: string; index: number}>(['gpu', 'get', 'rack-7:1'])
  expect(gpu.index).toBe(1)
  expect(await json(['gpu', 'get', gpu.uuid])).toMatchObject({node: 'rack-7', index: 1})
  expect(await run(['gpu', 'get', 'rack-7:9'])).toMatchObject({code: 3})
  expect((await run(['node', 'test', node.id])).stdout).toBe('The fake runtime of rack-7 answers.\n')

  const rows = await json<{action: string; actor: string; object: string}[]>([
    'audit',
    'list',
    '--action',
    'nodes.update',
  ])
  expect(rows).toHaveLength(3)
  expect(rows.every(({actor, object}) => actor === 'admin' && object === node.id)).toBe(true)
  expect(await json(['audit', 'list', '--object', node.id, '--limit', '1', '--since', '1h'])).toEqual([rows.at(-1)])
  expect(await json(['audit', 'list', '--user', 'nobody'])).toEqual([])
})

test('the audit is for super administrators', async () => {
  const plane = await controlPlane()
  const {password} = await plane.user('ada', {role: 'node_admin'})
  const {run} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: await plane.login('ada', password)})
  expect(await run(['audit', 'list'])).toMatchObject({code: 8})
})
