import {execFileSync} from 'node:child_process'
import {readFileSync, writeFileSync} from 'node:fs'
import {expect, type TestContext, test} from 'vitest'
import type {Claim} from '../../src/contract/schemas/claims.ts'
import {testDockerd} from '../support/docker.ts'
import {need} from '../support/skips.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, type WholeFleet, wholeFleet} from '../support/whole-fleet.ts'
import {looseDisk, shareMounts, zfs} from '../support/zfs.ts'

/** A server, an agent and an engine, and on their machine a ZFS pool with site `data` of 16 MiB. */
async function fleetWithSite(context: TestContext): Promise<{fleet: WholeFleet; folder: string; pool: string}> {
  need(context, 'root', 'zfs')
  await needEngine(context)
  await zfs()
  const {device, pool} = await looseDisk()
  await shareMounts(`/${pool}`)
  const fleet = await wholeFleet({engine: await testDockerd({name: 'sites'})})
  const {client} = fleet
  await done(fleet, await client.call('pools.create', {name: pool, node: 'gpu-1', device}))
  await client.call('nodes.setQuota', {id: 'gpu-1', storageQuotaGb: 1})
  await done(fleet, await client.call('sites.create', {name: 'data', node: 'gpu-1', quotaBytes: 16 * 2 ** 20}))
  return {fleet, pool, folder: `/${pool}/data`}
}

async function done({client}: WholeFleet, {task}: {task: {id: string} | null}): Promise<void> {
  const get = () => client.call('tasks.get', {id: task!.id})
  await eventually(async () => ['completed', 'failed'].includes((await get()).status), {withinMs: 30_000})
  expect(await get()).toMatchObject({status: 'completed', error: null})
}

const script = (text: string) => ['sh', '-c', text]
const isOver = ({status}: Claim) => ['Completed', 'Failed'].includes(status.phase)

test('what an instance writes into a site outlives it, and the next one finds it', async context => {
  const {fleet, folder} = await fleetWithSite(context)
  const volumes = [{site: 'data', path: '/mnt/files'}]
  const writer = await fleet.submit({volumes, command: script('echo kept > /mnt/files/note')})
  const over = await fleet.untilClaim(writer.id, isOver)
  expect(over).toMatchObject({status: {phase: 'Completed', nodeName: 'gpu-1'}})
  await fleet.client.call('instances.delete', {id: writer.instanceId})
  await eventually(async () => (await fleet.containers()).length === 0)

  expect(readFileSync(`${folder}/note`, 'utf8')).toBe('kept\n')
  const reader = await fleet.submit({volumes, command: script('cat /mnt/files/note')})
  await fleet.untilClaim(reader.id, isOver)
  expect(await fleet.output(reader)).toBe('kept\n')
})

test('the quota of a site stops the instance that writes more', async context => {
  const {fleet} = await fleetWithSite(context)
  const write = 'dd if=/dev/urandom of=/data/big bs=1M count=32 conv=fsync 2>&1; echo code $?'
  const claim = await fleet.submit({volumes: [{site: 'data', path: '/data'}], command: script(write)})
  await fleet.untilClaim(claim.id, isOver, 30_000)

  expect(await fleet.output(claim)).toMatch(/(quota exceeded|no space left).*code 1/is)
})

test('T19: two instances share a site read-only, neither can write, and it is not deleted under them', async context => {
  const {fleet, folder} = await fleetWithSite(context)
  writeFileSync(`${folder}/note`, 'old\n')
  const command = script('echo new > /data/note; cat /data/note; trap "exit 0" TERM; while :; do sleep 0.1; done')
  const spec = {volumes: [{site: 'data', path: '/data', readOnly: true}], command}
  const claims = await Promise.all([fleet.running(spec), fleet.running(spec)])
  for (const claim of claims) {
    await eventually(async () => (await fleet.output(claim)) === 'old\n')
    const {Mounts, HostConfig} = await fleet.container(claim)
    expect(Mounts).toEqual([expect.objectContaining({Source: folder, Destination: '/data', RW: false})])
    expect(HostConfig.Binds ?? []).toEqual([])
  }

  const destroy = () => fleet.client.call('sites.delete', {id: 'data', confirm: 'data'})
  await expect(destroy()).rejects.toMatchObject({code: 'site_in_use'})
  expect(readFileSync(`${folder}/note`, 'utf8')).toBe('old\n')
  for (const {id} of claims) await fleet.client.call('claims.cancel', {id, graceSeconds: 1})
  let begun: Awaited<ReturnType<typeof destroy>> | undefined
  // The server hears a moment later than the engine that the containers are gone.
  await eventually(async () => {
    begun = await destroy().catch(() => undefined)
    return begun !== undefined
  })
  expect(await fleet.containers()).toEqual([])
  await done(fleet, begun!)
})

test('an instance does not start beside a site that is not mounted, so that nothing is written beneath it', async context => {
  const {fleet, pool, folder} = await fleetWithSite(context)
  execFileSync('zfs', ['unmount', `${pool}/data`])
  const claim = await fleet.submit({volumes: [{site: 'data', path: '/data'}], command: script('touch /data/lost')})

  const failed = await fleet.untilInstance(claim, ({reason}) => reason.includes('data'), 30_000)
  expect(failed.reason).toContain(`not mounted, on pool ${pool}`)
  expect(() => readFileSync(`${folder}/lost`)).toThrow(/ENOENT/)
})

test('from the terminal: a site is made, filled by a claim, shown and destroyed', async context => {
  await needEngine(context)
  const fleet = await wholeFleet()
  const cli = async (...words: string[]) => {
    const {code, stdout, stderr} = await fleet.cli(words)
    return {code, text: stdout + stderr}
  }
  const good = async (...words: string[]) => {
    const {code, text} = await cli(...words)
    expect([words.join(' '), code, text]).toEqual([words.join(' '), 0, text])
    return text
  }
  await good('storage', 'pool', 'create', 'tank', '--node', 'gpu-1', '--type', 'directory', '--wait')
  const early = await cli('site', 'create', 'data', '--node', 'gpu-1', '--quota', '64MiB')
  expect(early).toMatchObject({code: 6, text: expect.stringContaining('node quota set gpu-1')})
  await good('node', 'quota', 'set', 'gpu-1', '1GB')
  expect(await good('site', 'create', 'data', '--node', 'gpu-1', '--quota', '64MiB', '--wait')).toContain('is ready')
  const fill = ['--image', 'gpuctl/busybox:1', '--volume', 'data:/data', '--wait', '--for', 'completed']
  await good('claim', 'submit', '--name', 'fill', ...fill, '--', 'sh', '-c', 'echo hi > /data/note')
  expect(await cli('claim', 'submit', '--image', 'x', '--volume', '/srv:/data')).toMatchObject({
    code: 2,
    text: expect.stringContaining('NAME:/data:ro'),
  })

  expect(await good('site', 'list')).toMatch(/^data\tgpu-1\tactive\t\d+\t67108864\tadmin/)
  expect(await good('site', 'get', 'data')).toContain('64 MiB (counted)')
  expect(await cli('site', 'delete', 'data')).toMatchObject({text: expect.stringContaining('--confirm data')})
  await good('site', 'delete', 'data', '--confirm', 'data', '--wait')
  expect(await good('site', 'list')).toBe('')
})
