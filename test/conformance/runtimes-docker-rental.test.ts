import {randomUUID} from 'node:crypto'
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {DockerDriver} from '../../src/runtime/docker.ts'
import {readStats} from '../../src/runtime/docker-stats.ts'
import type {ContainerGpu} from '../../src/runtime/driver.ts'
import {probeEngine} from '../../src/runtime/engine-probe.ts'
import {busyboxEngine} from '../support/busybox-engine.ts'
import {makeCertificates} from '../support/certs.ts'
import {fakeGpuHookPath, testDockerd} from '../support/docker.ts'
import {busyboxImage, dockerClient, ensureBusyboxImage} from '../support/images.ts'
import {containerSpec, readOutput, startContainer, untilExited} from '../support/runtimes.ts'
import {unmet} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

const shared = busyboxEngine()

function openDriver(at = shared.socketPath, serverId = 'rental-suite'): DockerDriver {
  const driver = new DockerDriver({socketPath: at, serverId})
  onTestFinished(() => driver.close())
  return driver
}

async function hamiCore(): Promise<string> {
  const folder = await temporaryDirectory()
  await writeFile(join(folder, 'libvgpu.so'), 'a library')
  return folder
}

const gpu = (index: number, memoryMiB: number, percent: number): ContainerGpu => ({
  ...{index, uuid: `GPU-fake-${index}`, vendor: 'nvidia', devicePaths: []},
  share: {memoryMiB, percent},
})

test('W3.3-6 W3.3-10 W6.5-10 T17: a part of a GPU is the card by its uuid, HAMi-core bound read-only, and its limits', async () => {
  const engine = await testDockerd({name: 'parts', extraPath: fakeGpuHookPath})
  await ensureBusyboxImage(engine)
  const driver = openDriver(engine.socketPath)
  const folder = await hamiCore()
  const script =
    'ls /dev | grep nvidia; env | sort; echo x > /libvgpu/build/libvgpu.so || cat /libvgpu/build/libvgpu.so'
  const containerId = await startContainer(
    driver,
    containerSpec(
      busyboxImage,
      {},
      {
        command: ['/bin/sh', '-c', `${script}; echo; touch /tmp/vgpulock/lock && echo lockable`],
        env: {CUDA_DEVICE_MEMORY_LIMIT: '80g', CUDA_DEVICE_SM_LIMIT: '100', LD_PRELOAD: '/tmp/mine.so'},
        gpus: [gpu(1, 12_288, 50), gpu(3, 12_288, 50)],
        hamiCore: folder,
      },
    ),
  )
  await untilExited(driver, containerId)

  const {stdout} = await readOutput(driver, containerId)
  const {HostConfig, Config} = await dockerClient(engine).getContainer(containerId).inspect()
  expect(HostConfig.DeviceRequests).toMatchObject([{DeviceIDs: ['GPU-fake-1', 'GPU-fake-3'], Count: 0}])
  expect(HostConfig.Mounts).toMatchObject([{Type: 'bind', Source: folder, Target: '/libvgpu/build', ReadOnly: true}])
  expect(HostConfig.Tmpfs).toHaveProperty('/tmp/vgpulock')
  const limits = (Config.Env ?? []).filter(pair => /^(CUDA|LD_)/.test(pair))
  expect(limits.sort()).toEqual([
    'CUDA_DEVICE_MEMORY_LIMIT=12g',
    'CUDA_DEVICE_MEMORY_SHARED_CACHE=/tmp/vgpulock/cudevshr.cache',
    'CUDA_DEVICE_SM_LIMIT=50',
    'LD_PRELOAD=/libvgpu/build/libvgpu.so',
  ])
  expect(stdout).toContain('nvidia1\nnvidia3\n')
  expect(stdout).toContain('a library\nlockable\n')
})

test('W3.3-10: cards of different size have limits of their own, in the order of the container', async () => {
  const driver = openDriver()
  const gpus = [gpu(0, 6144, 25), gpu(1, 6144, 13)].map(one => ({...one, vendor: 'fake' as const}))
  const {containerId} = await driver.create(containerSpec(busyboxImage, {}, {gpus, hamiCore: await hamiCore()}))
  onTestFinished(() => driver.remove(containerId))
  const {Config} = await dockerClient(shared).getContainer(containerId).inspect()
  const limits = (Config.Env ?? []).filter(pair => pair.startsWith('CUDA_DEVICE_') && pair.includes('LIMIT'))
  expect(limits).toEqual(['CUDA_DEVICE_MEMORY_LIMIT=6g', 'CUDA_DEVICE_SM_LIMIT_0=25', 'CUDA_DEVICE_SM_LIMIT_1=13'])
})

test.each(['/', '/etc/..', '../x', '/root/.ssh', '/a:/b', '/a//b', '/a\n', ''])(
  'T17: the folder %j is never bound',
  async folder => {
    const driver = openDriver()
    const gpus = [{...gpu(0, 1024, 5), vendor: 'fake' as const}]
    const made = driver.create(containerSpec(busyboxImage, {}, {gpus, hamiCore: folder}))
    await expect(made).rejects.toMatchObject({code: 'invalid'})
  },
)

test('W3.3-5: a system disk that the engine cannot limit is a warning, also when the container is found again', async () => {
  const driver = openDriver()
  const spec = containerSpec(busyboxImage, {}, {systemDiskGiB: 20})
  const {containerId, warnings} = await driver.create(spec)
  onTestFinished(() => driver.remove(containerId))
  const {HostConfig} = await dockerClient(shared).getContainer(containerId).inspect()
  const isLimited = HostConfig.StorageOpt?.size === '20G'
  expect(warnings).toEqual(isLimited ? [] : [expect.stringContaining('not limited to 20 GiB')])
  expect(await driver.create(spec)).toEqual({containerId, warnings})
})

test('a volume of another server is not there for us', async () => {
  const [ours, theirs] = [openDriver(), openDriver(shared.socketPath, 'another-server')]
  const name = `gpuctl-${randomUUID()}-data`
  const {containerId} = await theirs.create(containerSpec(busyboxImage, {}, {volumes: [{name, path: '/data'}]}))
  await theirs.remove(containerId)
  await ours.removeVolume(name)
  await dockerClient(shared).getVolume(name).inspect()
  await theirs.removeVolume(name)
  await expect(dockerClient(shared).getVolume(name).inspect()).rejects.toMatchObject({statusCode: 404})
})

test('T21 W3.1-9: a test of an engine says connected, auth_failed or unreachable, and never more', async context => {
  const missing = unmet('openssl')
  if (missing) context.skip(missing)
  const folder = await temporaryDirectory()
  const certificates = await makeCertificates(join(folder, 'right'))
  const others = await makeCertificates(join(folder, 'wrong'))
  const engine = await testDockerd({name: 'asked', tls: certificates})
  const {host, port} = {host: engine.host ?? '', port: engine.port ?? 0}
  const {ca, client} = certificates
  const {cert, key} = client

  expect(await probeEngine({host, port, ca, cert, key})).toBe('connected')
  expect(await probeEngine({socketPath: engine.socketPath})).toBe('connected')
  expect(await probeEngine({host, port, ca, ...others.client})).toBe('auth_failed')
  expect(await probeEngine({host, port, ca: others.ca, cert, key})).toBe('auth_failed')
  expect(await probeEngine({host, port, ca, cert: '-----BEGIN CERTIFICATE-----...', key})).toBe('auth_failed')
  expect(await probeEngine({host, port: 1, ca, cert, key})).toBe('unreachable')
  expect(await probeEngine({host: '192.0.2.1', port})).toBe('unreachable')
  expect(await probeEngine({socketPath: join(folder, 'nothing')})).toBe('unreachable')
})

test('W3.5: readings of cgroup v2 have no percpu_usage, lower-case words and empty lists', () => {
  const cpu = (total: number, system: number) => ({
    cpu_usage: {total_usage: total},
    system_cpu_usage: system,
    online_cpus: 8,
  })
  const frame = {
    read: '2026-01-01T00:00:00Z',
    cpu_stats: cpu(3e9, 16e9),
    precpu_stats: cpu(1e9, 8e9),
    memory_stats: {usage: 300, limit: 1000, stats: {inactive_file: 100}},
    networks: {eth0: {rx_bytes: 1, tx_bytes: 2}, eth1: {rx_bytes: 10, tx_bytes: 20}},
    blkio_stats: {
      io_service_bytes_recursive: [
        {op: 'read', value: 5},
        {op: 'Write', value: 7},
        {op: 'write', value: 1},
      ],
    },
    pids_stats: {current: 4},
  }
  expect(readStats(frame, 4)).toEqual({
    ...{at: frame.read, cpuPercent: 50, cpuPercentRaw: 200},
    ...{memoryUsageBytes: 200, memoryLimitBytes: 1000, memoryPercent: 20},
    ...{networkRxBytes: 11, networkTxBytes: 22, blockReadBytes: 5, blockWriteBytes: 8, pids: 4},
  })
  expect(readStats(frame, undefined).cpuPercent).toBe(25)
  expect(readStats({...frame, blkio_stats: {io_service_bytes_recursive: null}, networks: null}, 4)).toMatchObject({
    ...{blockReadBytes: null, networkRxBytes: null},
  })
})
