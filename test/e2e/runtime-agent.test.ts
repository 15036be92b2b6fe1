import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import type {Runtime} from '../../src/contract/schemas/runtimes.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {standInRuntime} from '../support/stand-in-runtime.ts'
import {eventually} from '../support/wait.ts'

test('an agent with --runtime-port brings the runtime of its machine; status says what becomes of it, approve puts it to work', async () => {
  const plane = await controlPlane()
  const runtime = await standInRuntime({models: ['llama-3']})
  const person = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const {secret} = await plane.ok<{secret: string}>('joinTokens.create', {autoApprove: true}, {token: plane.adminToken})
  const tokenFile = join(person.home, 'join-token')
  await writeFile(tokenFile, secret, {mode: 0o600})
  onTestFinished(async () => void (await person.run(['agent', 'stop'])))

  const flags = ['--name', 'gpu-1', '--runtime', 'process', '--fake-gpus', '2xRTX4090', '--join-token-file', tokenFile]
  await person.ok(['agent', 'start', '--detach', ...flags, '--runtime-port', String(runtime.port)])

  const status = await eventually(
    async () => {
      const {stdout} = await person.ok(['agent', 'status'])
      return stdout.includes('reported as') ? stdout : false
    },
    {withinMs: 20_000, everyMs: 200},
  )
  expect(status).toMatch(new RegExp(`^Inference {2}port ${runtime.port}: reported as [0-9a-f-]{36}$`, 'm'))
  expect(await person.json<Runtime[]>(['runtime', 'list'])).toMatchObject([
    {
      name: 'gpu-1',
      node: 'gpu-1',
      status: 'pending',
      models: ['llama-3'],
      gpuModel: 'RTX4090 (simulated)',
      gpuCount: 2,
    },
  ])

  const {stdout} = await person.ok(['runtime', 'approve', 'gpu-1', '--yes'])
  expect(stdout).toContain(`Approved gpu-1 at 127.0.0.1, port ${runtime.apiPort}: online, llama-3.`)
  expect((await person.ok(['runtime', 'get', 'gpu-1'])).stdout).toMatch(/Status\s+online/)
  expect(await person.run(['runtime', 'approve', 'gpu-1', '--yes'])).toMatchObject({
    code: 5,
    stderr: expect.stringContaining('Runtime gpu-1 does not wait for approval.'),
  })
  await person.ok(['runtime', 'delete', 'gpu-1', '--yes'])
  expect(await person.run(['runtime', 'get', 'gpu-1'])).toMatchObject({code: 3})
})

test.each([
  ['a name', 'lan/8'],
  ['an address', '10.0.0.1'],
])('a server whose trusted networks hold %s does not start, and says what is wrong', async (_, cidrs) => {
  const person = await operator({GPUCTL_NODE_CIDRS: `10.1.0.0/16,${cidrs}`})

  const {code, stderr} = await person.run(['server', 'start', '--listen', '127.0.0.1:0'])

  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(`GPUCTL_NODE_CIDRS: ${cidrs} is not a network, as 10.1.0.0/16.`),
  ])
})
