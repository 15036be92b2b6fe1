import {mkdirSync, writeFileSync} from 'node:fs'
import fc from 'fast-check'
import {expect, test} from 'vitest'
import {HostSampler} from '../../../src/metrics/host.ts'
import {parseCpu, parseMemory, parseMounts, parseNetwork} from '../../../src/metrics/proc.ts'
import {need} from '../../support/skips.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

const recorded = {
  stat: 'cpu  1000 0 500 8000 400 0 100 0 300 0\ncpu0 500 0 250 4000 200 0 50 0 150 0\ncpu1 500 0 250 4000 200 0 50 0 150 0\nintr 1\n',
  meminfo: 'MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:   12582912 kB\nBuffers: 1 kB\n',
  loadavg: '0.75 0.50 0.25 1/93 6534\n',
  uptime: '1767.10 3432.39\n',
  'self/net/dev': [
    'Inter-|   Receive                                                |  Transmit',
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
    '    lo:    9999      29    0    0    0     0          0         0     9999      29    0    0    0     0       0          0',
    '  eth0:291867612    8803    0    0    0     0          0         0  1025506    6052    0    0    0     0       0          0',
    'eth0.7:     500       1    0    0    0     0          0         0      500       1    0    0    0     0       0          0',
    'veth12a:   700       1    0    0    0     0          0         0      700       1    0    0    0     0       0          0',
    '',
  ].join('\n'),
  'self/mounts': [
    'proc /proc proc rw,nosuid 0 0',
    '/dev/vda1 / ext4 rw,relatime 0 0',
    '/dev/vda1 /var/lib/docker ext4 rw,relatime 0 0',
    '/dev/loop0 /snap/core squashfs ro 0 0',
    '/dev/sdb /mnt/my\\040data xfs rw 0 0',
    'tank/a /tank/a zfs rw 0 0',
    'tank/b /tank/b zfs rw 0 0',
    'server:/export /mnt/nfs nfs4 rw 0 0',
    '/dev/sdc /mnt/old ext4 ro 0 0',
    '',
  ].join('\n'),
}

async function recordedProc(files: Record<string, string> = recorded) {
  const folder = await temporaryDirectory('gpuctl-proc-')
  mkdirSync(`${folder}/self/net`, {recursive: true})
  for (const [name, text] of Object.entries(files)) writeFileSync(`${folder}/${name}`, text)
  return folder
}

const disks: Record<string, number> = {'/': 40, '/mnt/my data': 70, '/tank/a': 10}
const statDisk = async (path: string) => {
  const used = disks[path]
  if (used === undefined) throw new Error(`nobody should ask for ${path}`)
  return {blocks: 110, bfree: 110 - used, bavail: 100 - used} // 10 blocks are kept for root
}

test('a recorded host is read, with the fullest of its local disks', async () => {
  const sampler = new HostSampler({procDir: await recordedProc(), statDisk})

  expect(await sampler.sample()).toEqual({
    cpuPercent: null,
    cpus: 2,
    memoryTotalMiB: 16384,
    memoryUsedMiB: 4096,
    memoryPercent: 25,
    diskPercent: 70,
    load1: 0.75,
    uptimeSeconds: 1767,
    networkRxBytes: 291867612,
    networkTxBytes: 1025506,
  })
})

test('the CPU figure is the mean since the last sweep', async () => {
  const procDir = await recordedProc()
  const sampler = new HostSampler({procDir, statDisk})
  await sampler.sample()

  writeFileSync(`${procDir}/stat`, recorded.stat.replace('1000 0 500 8000 400', '1030 0 520 8140 410'))
  const busy = await sampler.sample()
  const noTimePassed = await sampler.sample()

  expect(busy.cpuPercent).toBe(25) // 50 of 200 ticks; waiting for the disk is not work
  expect(noTimePassed.cpuPercent).toBeNull()
})

test('a disk that does not answer holds up no sweep, and is not asked again meanwhile', async () => {
  let asked = 0
  let answer = () => {}
  const sampler = new HostSampler({
    procDir: await recordedProc({...recorded, 'self/mounts': '/dev/vda1 / ext4 rw 0 0\n'}),
    diskTimeoutMs: 20,
    statDisk: async () => {
      asked++
      await new Promise<void>(resolve => {
        answer = resolve
      })
      return {blocks: 100, bfree: 50, bavail: 50}
    },
  })

  const first = await sampler.sample()
  await sampler.sample()

  expect(first).toMatchObject({diskPercent: null, cpus: 2})
  expect(asked).toBe(1)
  answer()
  expect((await sampler.sample()).diskPercent).toBe(50)
})

test('a host without /proc is read by what Node knows', async () => {
  const sampler = new HostSampler({procDir: '/nonexistent'})

  const first = await sampler.sample()

  expect(first).toMatchObject({cpuPercent: null, networkRxBytes: null, networkTxBytes: null})
  expect(first.memoryTotalMiB).toBeGreaterThan(0)
  expect(first.diskPercent).toBeGreaterThanOrEqual(0)
})

test('this host is read in a moment', async context => {
  need(context, 'linux')
  const sampler = new HostSampler()
  const first = await sampler.sample()

  const costsMs: number[] = []
  for (let sweep = 0; sweep < 50; sweep++) {
    const start = performance.now()
    await sampler.sample()
    costsMs.push(performance.now() - start)
  }

  expect(first.memoryUsedMiB).toBeLessThan(first.memoryTotalMiB)
  expect(first.networkRxBytes).toBeGreaterThanOrEqual(0)
  // The median is far below 1 ms on an idle machine; the bound leaves room for a busy one.
  expect(costsMs.sort((a, b) => a - b)[25]).toBeLessThan(5)
})

test('any text in /proc neither throws nor gives a figure that is none', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'cpu  1 2 3 4',
      'cpu x y',
      'MemTotal: 9 kB',
      'MemFree: 99 kB',
      'eth0: 1 2 3 4 5 6 7 8 9',
      '/dev/a / ext4 rw',
      ':',
    ),
  )
  fc.assert(
    fc.property(fc.array(line, {maxLength: 8}), lines => {
      const text = lines.join('\n')
      const cpu = parseCpu(text)
      const figures = [cpu?.ticks.busy, cpu?.ticks.total, cpu?.cpus]
      figures.push(...Object.values(parseMemory(text) ?? {}), ...Object.values(parseNetwork(text) ?? {}))
      for (const figure of figures) if (figure !== undefined) expect(Number.isFinite(figure)).toBe(true)
      expect(parseMounts(text).every(path => path.length > 0)).toBe(true)
    }),
  )
})
