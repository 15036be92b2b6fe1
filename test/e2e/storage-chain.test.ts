import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {AgentProcess} from '../bench/agent-process.ts'
import {createJoinToken} from '../bench/fleet.ts'
import {testDockerd} from '../support/docker.ts'
import {program} from '../support/gpuctl.ts'
import {busyboxImage} from '../support/images.ts'
import {bucket} from '../support/s3.ts'
import {need} from '../support/skips.ts'
import {runStorageChain} from '../support/storage-chain.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, type WholeFleet, wholeFleet} from '../support/whole-fleet.ts'
import {looseDisk, shareMounts, zfs} from '../support/zfs.ts'

// With LVM, the kernel's NFS and instances that are processes: test/vm/chain.guest.ts.

test('a disk becomes a pool, a site, a full one, a backup in a bucket; all is destroyed and comes back byte for byte', async context => {
  need(context, 'root', 'zfs', 'radosgw')
  await needEngine(context)
  await zfs()
  const {device, pool} = await looseDisk()
  await shareMounts(`/${pool}`)
  const fleet = await wholeFleet({engine: await testDockerd({name: 'chain'})})
  const other = await secondNode(fleet)
  const {access} = await bucket()
  const secretFile = join(await temporaryDirectory(), 'secret')
  await writeFile(secretFile, `${access.secretAccessKey}\n`, {mode: 0o600})
  const vault = [
    ...['--bucket', access.bucket, '--endpoint', access.endpoint],
    ...['--access-key', access.accessKeyId, '--secret-file', secretFile],
  ]

  const {code, output} = await runStorageChain({
    chain: {
      ...{A: 'gpu-1', B: other, ON_B: '', DISK: device, POOL: pool, TYPE: 'zfs', PLACE: `/${pool}`},
      ...{
        NETWORK: '127.0.0.0/16',
        KERNEL_NFS: 'no',
        INSTANCE: `--image ${busyboxImage} --volume data:/data`,
        AT: '/data',
        VAULT: vault.join(' '),
      },
    },
    ...{program, env: fleet.cliEnvironment, longestMs: 390_000},
  })

  expect(output).toContain('s: Done')
  expect(code).toBe(0)
}, 400_000)

/** A machine without an engine, of the same fleet. Resolves with its name when it is connected. */
async function secondNode({server, client, nodeId}: WholeFleet): Promise<string> {
  const folder = await temporaryDirectory('gpuctl-second-')
  const joinTokenFile = join(folder, 'join-token')
  const token = await createJoinToken({url: server.server, token: server.token}, 1)
  await writeFile(joinTokenFile, token, {mode: 0o600})
  const agent = AgentProcess.start({program, data: join(folder, 'agent'), server: server.server, joinTokenFile})
  onTestFinished(async () => void (await agent.stop()))
  const find = async () => (await client.call('nodes.list', {})).find(({id, connected}) => id !== nodeId && connected)
  await eventually(async () => (await find()) !== undefined, {withinMs: 20_000, what: 'the second node'})
  return (await find())!.name
}
