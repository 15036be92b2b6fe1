import {expect, test} from 'vitest'
import {GpuHistory, gpuReadings, gpuStatsColumns} from '../../src/cli/gpu-readings.ts'
import {NodeStats} from '../../src/contract/schemas/nodes.ts'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {sample} from '../support/schema-sample.ts'

test('a GPU is taken out of placement and put back, and its load is followed', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 2})
  const {run, ok, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})

  expect(await run(['gpu', 'disable', 'sim-0001:1', '--reason', 'ECC errors'])).toMatchObject({
    code: 0,
    stdout: 'sim-0001:1 gets no new work.\n',
  })
  expect((await ok(['gpu', 'list', '-o', 'wide'])).stdout).toMatch(/1\s+RTX.*disabled.*ECC errors/)
  expect((await ok(['gpu', 'get', 'sim-0001:1'])).stdout).toMatch(/Disabled\s+since 2.* by admin: ECC errors/)
  expect(await run(['gpu', 'disable', 'sim-0001:7'])).toMatchObject({code: 3})
  expect((await ok(['gpu', 'enable', 'sim-0001:1'])).stdout).toBe('sim-0001:1 gets work again.\n')
  expect(await json(['gpu', 'get', 'sim-0001:1'])).toMatchObject({state: 'free', disabled: null})

  expect(await json(['gpu', 'stats', 'sim-0001:1', '--once'])).toMatchObject([{node: 'sim-0001', index: 1}])
  expect((await ok(['gpu', 'stats', '--once'])).stdout.trim().split('\n')).toHaveLength(2)
  expect(await run(['gpu', 'stats', 'sim-0001:9', '--once'])).toMatchObject({code: 3})
})

test('the history of a GPU is its latest loads as blocks', () => {
  const node = sample(NodeStats) as NodeStats
  const history = new GpuHistory()
  const columns = gpuStatsColumns(history)
  for (let load = 0; load <= 100; load += 2) {
    const gpus = [{...node.gpus[0]!, index: 0, utilizationPercent: load === 98 ? null : load}]
    history.add(gpuReadings([{...node, name: 'n', gpus}], ['n:0']))
  }
  const [reading] = gpuReadings([{...node, name: 'n', gpus: [{...node.gpus[0]!, index: 0}]}], [])

  const text = columns.find(({name}) => name === 'history')?.value(reading!)
  expect(text).toBe('▄▄▄▄▅▅▅▅▅▅▅▆▆▆▆▆▆▇▇▇▇▇▇█████·█')
})
