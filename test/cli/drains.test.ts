import {expect, test} from 'vitest'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {eventually} from '../support/wait.ts'

test('a drain is told before, asks, is waited for, and is shown with the node', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 2, gpus: 2})
  const {run, json, ok} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const submit = (name: string, rest: object) =>
    plane.ok('claims.submit', {name, image: 'any', gpus: {count: 1}, ...rest}, {token: plane.adminToken})
  await submit('served', {restart: 'always', node: 'sim-0001'})
  await submit('job', {})
  const nodeOf = async (id: string) =>
    (await plane.ok<{status: {phase: string; nodeName: string}}>('claims.get', {id}, {token: plane.adminToken})).status
  await eventually(
    async () => (await nodeOf('served')).phase === 'Running' && (await nodeOf('job')).phase === 'Running',
  )
  const busy = (await nodeOf('job')).nodeName

  expect((await run(['node', 'drain', 'sim-0001', '--dry-run', '--force'])).stdout).toMatch(
    /^sim-0001 would take no new work; served.* back to the queue/,
  )
  expect(await run(['node', 'drain', 'sim-0001'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Drain sim-0001? It takes no new work; '),
  })
  expect(await json(['node', 'get', 'sim-0001'])).toMatchObject({schedulable: true, drain: null})

  const drained = await run(['node', 'drain', busy, '--force', '--yes', '--wait', '--reason', 'new fans'])
  expect(drained).toMatchObject({code: 0, stdout: expect.stringMatching(new RegExp(`${busy} is drained\\.\\n$`))})
  expect(drained.stdout).toContain('job')
  expect(await nodeOf('job')).toMatchObject({phase: 'Failed', reason: 'Drained'})
  expect((await ok(['node', 'get', busy])).stdout).toMatch(/Drain\s+drained at 2/)
  expect((await ok(['node', 'list'])).stdout).toMatch(new RegExp(`${busy}\\s+online, drained`))
  await ok(['wait', `node/${busy}`, '--for', 'drained', '--timeout', '0'])
  expect(await json(['node', 'uncordon', busy])).toMatchObject({schedulable: true, drain: null})
})

test('a drain that is over before its work is ends with 1 and says what helps', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 1})
  const {run} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  await plane.ok('claims.submit', {name: 'job', image: 'any', gpus: {count: 1}}, {token: plane.adminToken})
  await eventually(
    async () =>
      (await plane.ok<{status: string}>('instances.get', {id: 'job'}, {token: plane.adminToken})).status === 'running',
  )

  expect(await run(['node', 'drain', 'sim-0001', '--yes', '--wait', '--deadline', '1s'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/sim-0001 is not empty: 1 still run there[\s\S]*node drain sim-0001 --force/),
  })
})
