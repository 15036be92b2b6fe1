import {execFile} from 'node:child_process'
import {chmod, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {AgentProcess} from '../bench/agent-process.ts'
import {createJoinToken} from '../bench/fleet.ts'
import {testDockerd} from '../support/docker.ts'
import {program} from '../support/gpuctl.ts'
import {bucket} from '../support/s3.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, type WholeFleet, wholeFleet} from '../support/whole-fleet.ts'
import {looseDisk, shareMounts, zfs} from '../support/zfs.ts'

test('a disk becomes a pool, a shared one, a site, a full one, a backup; all is destroyed and comes back byte for byte', async context => {
  need(context, 'root', 'zfs', 'radosgw')
  await needEngine(context)
  await zfs()
  const {device, pool} = await looseDisk()
  await shareMounts(`/${pool}`)
  const fleet = await wholeFleet({engine: await testDockerd({name: 'chain'})})
  const other = await secondNode(fleet)
  const {access} = await bucket()

  const {code, output} = await runScript(fleet, {
    ...{A: 'gpu-1', B: other, DISK: device, POOL: pool, NETWORK: '127.0.0.0/16', KERNEL_NFS: 'no'},
    ...{ENDPOINT: access.endpoint, BUCKET: access.bucket, ACCESS_KEY: access.accessKeyId},
    secret: access.secretAccessKey,
  })

  expect(output).toContain('— Done')
  expect(code).toBe(0)
}, 400_000)

/** A machine without an engine, of the same fleet. Resolves with its name when it is connected. */
async function secondNode({server, client, nodeId}: WholeFleet): Promise<string> {
  const folder = await temporaryDirectory('gpuctl-second-')
  const joinTokenFile = join(folder, 'join-token')
  const token = await createJoinToken({url: server.server, token: server.token}, 1)
  await writeFile(joinTokenFile, token, {mode: 0o600})
  const agent = AgentProcess.start({program, data: join(folder, 'agent'), server: server.server, joinTokenFile})
  onTestFinished(() => agent.stop())
  const find = async () => (await client.call('nodes.list', {})).find(({id, connected}) => id !== nodeId && connected)
  await eventually(async () => (await find()) !== undefined, {withinMs: 20_000, what: 'the second node'})
  return (await find())!.name
}

/** In a folder of its own, with this `gpuctl` in its path. */
async function runScript(
  fleet: WholeFleet,
  {secret, ...env}: Record<string, string>,
): Promise<{code: number | null; output: string}> {
  const folder = await temporaryDirectory('gpuctl-chain-')
  const gpuctl = join(folder, 'gpuctl')
  await writeFile(gpuctl, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
  await chmod(gpuctl, 0o755)
  const secretFile = join(folder, 'secret')
  await writeFile(secretFile, `${secret}\n`, {mode: 0o600})
  const path = `${folder}:${process.env.PATH}`
  const options = {
    cwd: folder,
    env: {...fleet.cliEnvironment, ...env, PATH: path, SECRET_FILE: secretFile},
    timeout: 390_000,
  }
  const script = join(import.meta.dirname, 'storage-chain.sh')
  return new Promise(resolve => {
    execFile('bash', ['-x', script], options, (error, stdout, stderr) =>
      resolve({code: error ? Number(error.code) : 0, output: stderr + stdout}),
    )
  })
}
