import {expect, test} from 'vitest'
import {busyboxImage} from '../support/images.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, wholeFleet} from '../support/whole-fleet.ts'

const sh = (script: string) => ['sh', '-c', `${script}; trap "exit 0" TERM; while :; do sleep 0.1; done`]

test('T19: what a claim becomes has no more rights than it needs, and no wish of its owner adds one', async context => {
  await needEngine(context)
  const fleet = await wholeFleet()
  const probe = [
    'grep -E "^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):" /proc/self/status',
    'ls /var/run/docker.sock /run/docker.sock 2>/dev/null',
    'mount -t tmpfs none /mnt 2>/dev/null && echo could mount',
    'mknod /tmp/sda b 8 0 2>/dev/null && echo could make a device',
    'chroot / true 2>/dev/null && echo could chroot',
    'echo 1 > /proc/sys/kernel/sysrq 2>/dev/null && echo could write to the kernel',
    'unshare -r true 2>/dev/null && echo could make a namespace',
    'echo probed',
  ].join('\n')
  const claim = await fleet.running({command: sh(probe), cpus: 0.5, memoryMiB: 64})
  const container = fleet.docker.getContainer(claim.status.containerId)
  const output = await eventually(async () => {
    const text = (await container.logs({stdout: true, stderr: false}))
      .toString('latin1')
      .replace(/[^\n\x20-\x7e\t]/g, '')
    return text.includes('probed') && text
  })
  const {HostConfig, Mounts} = await container.inspect()
  const {pids_stats: pids} = await container.stats({stream: false})

  // CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, NET_BIND_SERVICE; nothing is left to be gained.
  for (const field of ['CapPrm', 'CapEff', 'CapBnd'])
    expect(output).toMatch(new RegExp(`${field}:\\s+00000000000004eb\\b`))
  for (const field of ['CapInh', 'CapAmb']) expect(output).toMatch(new RegExp(`${field}:\\s+0000000000000000\\b`))
  expect(output).toMatch(/NoNewPrivs:\s+1\n/)
  expect(output).toMatch(/Seccomp:\s+2\n/)
  expect(output).not.toMatch(/could|docker\.sock/)
  expect((pids as {limit?: number}).limit).toBe(4096)
  expect(HostConfig).toMatchObject({
    Privileged: false,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    PidsLimit: 4096,
    NanoCpus: 5e8,
    Memory: 64 * 2 ** 20,
    MemorySwap: 64 * 2 ** 20,
    PidMode: '',
    IpcMode: 'private',
    UTSMode: '',
    LogConfig: {Type: 'json-file', Config: {'max-size': '10m', 'max-file': '3'}},
  })
  expect(HostConfig.NetworkMode).not.toBe('host')
  expect(Mounts).toEqual([])

  const wishes = [
    ...[
      {privileged: true},
      {binds: ['/:/host']},
      {volumes: [{name: 'x', path: '/x'}]},
      {HostConfig: {Privileged: true}},
    ],
    ...[
      {capAdd: ['SYS_ADMIN']},
      {securityOpt: []},
      {network: 'host'},
      {pidsLimit: -1},
      {devices: ['/dev/sda']},
      {user: 'root'},
    ],
  ]
  for (const wish of wishes) {
    const refused = fleet.client.call('claims.submit', {image: busyboxImage, ...wish} as never)
    await expect(refused, JSON.stringify(wish)).rejects.toMatchObject({code: 'input_invalid'})
  }
})

test('T19: a tenant who forks 1,000 times leaves the engine quick (p99 of 100 lists below 500 ms)', async context => {
  await needEngine(context)
  const fleet = await wholeFleet()
  const bomb = 'i=0; while [ $i -lt 1000 ]; do sleep 600 & i=$((i+1)); done; echo forked'
  const claim = await fleet.running({command: sh(bomb), cpus: 1, memoryMiB: 512})
  const container = fleet.docker.getContainer(claim.status.containerId)
  const processes = async () => (await container.stats({stream: false})).pids_stats?.current ?? 0
  await eventually(async () => (await processes()) > 1_000, {withinMs: 30_000})

  const times: number[] = []
  for (let at = 0; at < 100; at++) {
    const began = performance.now()
    await fleet.docker.listContainers()
    times.push(performance.now() - began)
  }

  expect(times.sort((a, b) => a - b)[98]).toBeLessThan(500)
  expect((await fleet.claim(claim.id)).status.phase).toBe('Running')
})
