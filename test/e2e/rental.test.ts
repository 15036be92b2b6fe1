import {randomUUID} from 'node:crypto'
import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import type {Instance} from '../../src/contract/schemas/instances.ts'
import {makeCertificates} from '../support/certs.ts'
import {dockerdMissing, fakeGpuHookPath, testDockerd} from '../support/docker.ts'
import {operator} from '../support/gpuctl.ts'
import {dockerClient, ensureBusyboxImage} from '../support/images.ts'
import {unmet} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

test('T14 T21 W3.1-13 W3.1-18 W3.3-9 W3.3-10 W3.4: parts of GPUs on two machines without agents, from the first node to the last volume', async context => {
  const missing = unmet('busybox', 'openssl') ?? (await dockerdMissing())
  if (missing) context.skip(missing)
  const hamiCore = await temporaryDirectory()
  await writeFile(join(hamiCore, 'libvgpu.so'), 'a library')
  const someone = await operator({GPUCTL_HAMI_CORE: hamiCore})
  await someone.ok(['up', '--detach', '--listen', '127.0.0.1:0', '--runtime', 'process'])

  const engines = new Map<string, {docker: ReturnType<typeof dockerClient>; flags: string[]; key: string}>()
  for (const name of ['rack-1', 'rack-2']) {
    const certificates = await makeCertificates(join(someone.home, name))
    const engine = await testDockerd({name, tls: certificates, extraPath: fakeGpuHookPath})
    await ensureBusyboxImage(engine)
    const {folder, client} = certificates
    const tls = ['ca', 'cert', 'key'].flatMap(file => [`--tls-${file}`, join(folder, `${file}.pem`)])
    const flags = ['--docker', `tcp://${engine.host}:${engine.port}`, ...tls]
    engines.set(name, {docker: dockerClient({socketPath: engine.socketPath}), flags, key: client.key})
    const facts = [
      '--gpu-model',
      'NVIDIA RTX 4090',
      '--gpu-count',
      '2',
      '--gpu-memory',
      '24GiB',
      '--hami-core',
      hamiCore,
    ]
    const added = await someone.json<{dockerStatus: string}>([
      'node',
      'add',
      name,
      ...flags,
      ...facts,
      '--data-disk',
      '1TB',
    ])
    expect(added.dockerStatus).toBe('connected')
    await someone.ok(['wait', `node/${name}`, '--for', 'online', '--timeout', '30s'])
  }

  await someone.ok(['image', 'create', 'busybox', '--address', 'gpuctl/busybox:1', '--memory-split'])
  const shape = ['--gpus', '1', '--gpu-model', 'RTX 4090', '--gpu-memory', '12GiB', '--memory-split']
  await someone.ok(['spec', 'create', 'half', ...shape, '--data-disk', '10GiB', '--disk', '5GiB', '--price', '0.8'])
  const capacity = async () => {
    const found = await someone.json<{name: string; capacity: number}[]>(['spec', 'nodes', 'half'])
    return Object.fromEntries(found.map(node => [node.name, node.capacity]))
  }
  await eventually(async () => (await capacity())['rack-2'] === 4, {
    withinMs: 15_000,
    what: 'both machines offer four halves',
  })
  expect(await capacity()).toMatchObject({'rack-1': 4, 'rack-2': 4})

  const create = async (name: string) => {
    const wish = ['instance', 'create', name, '--image', 'busybox', '--spec', 'half', '--node', 'rack-1', '--wait']
    const command = ['/bin/sh', '-c', 'echo mine > /data/file; ls /libvgpu/build; sleep 600']
    const {stdout} = await someone.ok([...wish, '-o', 'json', '--', ...command])
    return JSON.parse(stdout) as Instance
  }
  const [a, b] = [await create('a'), await create('b')]
  expect(await capacity()).toMatchObject({'rack-1': 2, 'rack-2': 4})
  const {docker} = engines.get('rack-1')!
  for (const {containerId} of [a, b]) {
    const {HostConfig, Config, Mounts} = await docker.getContainer(containerId).inspect()
    expect(HostConfig.DeviceRequests).toMatchObject([{DeviceIDs: ['0']}])
    expect(Config.Env).toEqual(expect.arrayContaining(['CUDA_DEVICE_MEMORY_LIMIT=12g', 'CUDA_DEVICE_SM_LIMIT=50']))
    expect(Mounts).toEqual(
      expect.arrayContaining([
        expect.objectContaining({Source: hamiCore, Destination: '/libvgpu/build', RW: false}),
        expect.objectContaining({Type: 'volume', Destination: '/data', RW: true}),
      ]),
    )
  }
  expect((await someone.ok(['instance', 'logs', 'a'])).stdout).toContain('libvgpu.so')
  expect(a.volumes).toEqual([{name: `gpuctl-${a.claimId}-data`, path: '/data'}])

  const asked = await someone.run(['instance', 'delete', 'a', '--no-input'])
  expect(asked.code).not.toBe(0)
  await someone.ok(['instance', 'delete', 'a', '--yes'])
  await someone.ok(['instance', 'delete', 'b', '--keep-volumes', '--yes'])
  const volumes = async () => ((await docker.listVolumes()).Volumes ?? []).map(({Name}) => Name)
  await eventually(async () => !(await volumes()).includes(`gpuctl-${a.claimId}-data`), {
    ...{withinMs: 30_000, what: 'the volume of the deleted instance is gone'},
  })
  await eventually(async () => (await docker.listContainers({all: true})).length === 0, {
    ...{withinMs: 30_000, what: 'both containers are gone'},
  })
  expect(await volumes()).toContain(`gpuctl-${b.claimId}-data`)

  // Another machine's certificates are not trusted, and the right ones are again; the key is in no file.
  const wrong = engines.get('rack-2')!.flags.slice(2)
  await someone.ok(['node', 'update', 'rack-1', ...wrong])
  const refused = await someone.run(['node', 'test', 'rack-1', '--json'])
  expect([refused.code, JSON.parse(refused.stdout).status]).toEqual([7, 'auth_failed'])
  await someone.ok(['node', 'update', 'rack-1', ...engines.get('rack-1')!.flags])
  expect(await someone.json(['node', 'test', 'rack-1'])).toMatchObject({status: 'connected'})
  await eventually(async () => (await capacity())['rack-1'] === 4, {withinMs: 30_000, what: 'rack-1 takes work again'})
  const secret = engines.get('rack-1')!.key.split('\n')[1] ?? randomUUID()
  const data = join(someone.home, 'data')
  for (const file of await readdir(data, {recursive: true})) {
    const text = await readFile(join(data, file), 'latin1').catch(() => '')
    expect(text.includes(secret), file).toBe(false)
  }
}, 180_000)
