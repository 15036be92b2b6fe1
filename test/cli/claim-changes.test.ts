import {expect, test} from 'vitest'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'

test('a claim is moved in the queue; its output is followed to the exit code of its workload', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 1})
  const {run, ok, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const submit = (name: string, env = {}) =>
    plane.ok('claims.submit', {name, image: 'any', gpus: {count: 1}, env}, {token: plane.adminToken})
  await submit('first')
  await submit('second')
  await submit('third', {
    GPUCTL_FAKE_STDOUT: 'epoch 1 of 9',
    GPUCTL_FAKE_EXIT_CODE: '7',
    GPUCTL_FAKE_EXIT_AFTER_MS: '200',
  })

  expect(await run(['claim', 'reprioritize', 'third', '--front'])).toMatchObject({
    code: 0,
    stdout: 'third has priority 1.\n',
  })
  expect(await run(['claim', 'reprioritize', '--', 'second', '-3'])).toMatchObject({code: 0})
  expect(await json(['claim', 'get', 'second'])).toMatchObject({spec: {priority: -3}})
  expect(await run(['claim', 'reprioritize', 'third'])).toMatchObject({code: 2})
  expect(await run(['claim', 'reprioritize', 'third', '101'])).toMatchObject({code: 2})

  const logs = run(['claim', 'logs', '-f', 'third'])
  await ok(['claim', 'cancel', 'first'])
  expect(await logs).toMatchObject({code: 7, stdout: 'epoch 1 of 9\n'})
  expect(await run(['claim', 'logs', 'claim/third'])).toMatchObject({code: 0, stdout: 'epoch 1 of 9\n'})
  expect(await run(['claim', 'logs', 'nothing'])).toMatchObject({code: 3})

  const told = ['GPUCTL_FAKE_STDOUT=hello', 'GPUCTL_FAKE_EXIT_CODE=4', 'GPUCTL_FAKE_EXIT_AFTER_MS=200']
  const withLogs = ['claim', 'submit', '--image', 'any', '--gpus', '0', '--logs', ...told.flatMap(one => ['-e', one])]
  expect(await run(withLogs)).toMatchObject({code: 4, stdout: 'hello\n'})

  const {password} = await plane.user('ann', {gpuQuota: 1})
  const token = await plane.login('ann', password)
  await plane.ok('claims.submit', {name: 'hers', image: 'any', gpus: {count: 1}}, {token})
  const all = ['claim', 'cancel', '--all', '--mine']
  expect(await run(all)).toMatchObject({code: 2, stderr: expect.stringContaining('Cancel second?')})
  expect(await run([...all, 'second'])).toMatchObject({code: 2, stderr: expect.stringContaining('Which claims?')})
  expect(await json([...all, '--yes'])).toMatchObject([{name: 'second', status: {phase: 'Released'}}])
  expect(await run([...all, '--yes'])).toMatchObject({code: 0, stdout: 'None of your claims is live.\n'})
  expect(await json(['claim', 'list', '--live', '--all'])).toMatchObject([{name: 'hers'}])
  expect(await json(['claim', 'list', '--live', '--mine'])).toEqual([])
})
