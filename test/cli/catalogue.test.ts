import {expect, test} from 'vitest'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'

async function administrator(plane: ControlPlane) {
  return operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken, GPUCTL_KEYRING: 'file'})
}

test('an image and a spec are put into the catalogue, shown, changed and taken out', async () => {
  const admin = await administrator(await controlPlane())
  await admin.ok(['image', 'create', 'cuda', '--address', 'nvidia/cuda:12', '--memory-split', '--source', 'docker.io'])
  await admin.ok(['image', 'update', 'cuda', '--no-listed', '--name', 'cuda-12'])
  expect(await admin.json(['image', 'get', 'cuda-12'])).toMatchObject({
    ...{name: 'cuda-12', address: 'nvidia/cuda:12', memorySplit: true, source: 'docker.io', listed: false},
  })
  expect((await admin.ok(['image', 'get', 'cuda-12'])).stdout).toContain('Parts of GPUs')
  await admin.ok(['image', 'create', 'torch', '--address', 'pytorch/pytorch:2'])
  expect(await admin.json(['image', 'list', '--listed'])).toMatchObject([{name: 'torch'}])
  expect(await admin.json(['image', 'list', '--no-listed'])).toMatchObject([{name: 'cuda-12'}])
  expect(await admin.json(['image', 'list'])).toHaveLength(2)
  await admin.ok(['image', 'delete', 'cuda-12'])
  expect(await admin.run(['image', 'get', 'cuda-12'])).toMatchObject({code: 3})

  await admin.ok([
    'spec',
    'create',
    'half',
    '--gpus',
    '1',
    '--gpu-memory',
    '12GiB',
    '--memory-split',
    '--data-disk',
    '1T',
  ])
  await admin.ok(['spec', 'update', 'half', '--price', '0.5', '--gpu-model', 'RTX 4090'])
  expect(await admin.json(['spec', 'get', 'half'])).toMatchObject({
    ...{gpuCount: 1, gpuModel: 'RTX 4090', gpuMemoryGiB: 12, memorySplit: true, dataDiskGiB: 1024, pricePerHour: 0.5},
  })
  expect((await admin.ok(['product', 'show', 'half'])).stdout).toContain('1 × RTX 4090, a part of each GPU')
  expect(await admin.run(['spec', 'update', 'half'])).toMatchObject({code: 2})
  expect(await admin.run(['spec', 'update', 'half', '--price', 'much'])).toMatchObject({code: 2})
}, 60_000)

test('a machine is described and changed, its engine is asked, and it is told why it fits or not', async () => {
  const admin = await administrator(await controlPlane())
  const added = await admin.run([
    'node',
    'add',
    'far',
    '--docker',
    'tcp://127.0.0.1:1',
    '--no-tls',
    '--cpu',
    '32 cores',
  ])
  expect(added).toMatchObject({code: 0, stdout: 'Added far; its Docker does not answer.\n'})
  const refused = await admin.run(['node', 'add', 'open', '--docker', 'tcp://192.0.2.1:2375', '--no-tls'])
  expect(refused).toMatchObject({code: 2, stderr: expect.stringContaining('needs TLS')})
  expect(await admin.run(['node', 'test', 'far'])).toMatchObject({
    ...{code: 7, stdout: expect.stringContaining('does not answer. Check the address')},
  })

  await admin.ok([
    'node',
    'update',
    'far',
    '--region',
    'eu-1',
    '--memory',
    '64GB',
    '--no-listed',
    '--public-ip',
    '192.0.2.9',
  ])
  const {stdout} = await admin.ok(['node', 'get', 'far'])
  for (const words of ['eu-1', '192.0.2.9', '32 cores, 64GB', 'tcp://127.0.0.1:1 failed'])
    expect(stdout).toContain(words)
  expect((await admin.ok(['node', 'get', 'far', '--events'])).stdout).toMatch(/^Id\t.*\n[^\n]*\tnode\/far\tAdded\t/m)
  expect(await admin.json(['node', 'get', 'far', '--events'])).toMatchObject({
    ...{name: 'far', events: expect.arrayContaining([expect.objectContaining({type: 'Changed', actor: 'admin'})])},
  })
  expect(await admin.run(['node', 'update', 'far'])).toMatchObject({code: 2})
  expect(await admin.run(['node', 'update', 'far', '--hami-core', '/etc'])).toMatchObject({
    ...{code: 2, stderr: expect.stringContaining('GPUCTL_HAMI_CORE')},
  })

  await admin.ok(['spec', 'create', 'small', '--cpus', '4'])
  expect(await admin.json(['instance', 'match', '--spec', 'small'])).toMatchObject([
    {name: 'far', fits: false, reason: 'not listed', cpus: 32},
  ])
  expect(await admin.json(['instance', 'match', '--spec', 'small', '--fitting'])).toEqual([])
  expect((await admin.ok(['spec', 'nodes', 'small'])).stdout).toContain('not listed')
}, 60_000)

test('an SSH password comes by standard input only, and is never shown', async () => {
  const plane = await controlPlane()
  const admin = await administrator(plane)
  const add = [
    'node',
    'add',
    'far',
    '--docker',
    'unix:///nowhere/docker.sock',
    '--ssh-user',
    'root',
    '--ssh-password-stdin',
  ]
  expect(await admin.run(add, {input: 'canary-of-ssh\n'})).toMatchObject({code: 0})
  const shown = await admin.ok(['node', 'get', 'far', '-o', 'json'])
  expect(JSON.parse(shown.stdout).ssh).toEqual({port: 22, user: 'root', password: '******'})
  expect(shown.stdout).not.toContain('canary')
}, 60_000)
