import {existsSync} from 'node:fs'
import {readFile, writeFile} from 'node:fs/promises'
import {join, resolve} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {Client} from '../../src/client/client.ts'
import {AgentProcess} from '../bench/agent-process.ts'
import {createJoinToken} from '../bench/fleet.ts'
import {ServerProcess} from '../bench/server-process.ts'
import type {S3Access} from '../support/s3.ts'
import {runStorageChain} from '../support/storage-chain.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {looseDisk} from '../support/zfs.ts'
import {server as home, network, nodes, on, startNodes} from './guest/nodes.ts'

// In the machine of boot.sh, with the bucket of storage.test.ts; with ZFS and containers: test/e2e/storage-chain.test.ts.

/** Everything takes ten to twenty times as long in there. */
const patience = {withinMs: 180_000, everyMs: 3_000}
const program = resolve('bin/run.js')
const bucketFile = '/mnt/shared/s3.json'

test('NFS: a disk becomes a pool that another node mounts and writes, a site, a full one, a backup in a bucket; all comes back', async context => {
  if (!existsSync(bucketFile)) context.skip('needs radosgw on the host')
  const {secretAccessKey, ...access} = JSON.parse(await readFile(bucketFile, 'utf8')) as S3Access
  startNodes()
  const folder = await temporaryDirectory()
  const secretFile = join(folder, 'secret')
  await writeFile(secretFile, `${secretAccessKey}\n`, {mode: 0o600})
  const vault = ['--bucket', access.bucket, '--endpoint', access.endpoint, '--access-key', access.accessKeyId]
  const {device, pool} = await looseDisk()
  const server = await ServerProcess.start({program, data: join(folder, 'server'), listen: `${home}:0`, everyMs: 200})
  onTestFinished(async () => void (await server.stop()))
  const joinTokenFile = join(folder, 'join-token')
  await writeFile(joinTokenFile, await createJoinToken(server, 2), {mode: 0o600})
  const joining = {program, server: server.url, joinTokenFile}
  // One after the other: each has the processor for itself while it starts.
  const names: string[] = []
  for (const [index, via] of [[], on('inside')].entries()) {
    const agent = AgentProcess.start({...joining, data: join(folder, `node-${index}`), via})
    onTestFinished(async () => void (await agent.stop()))
    names.push(await joined(server, `${nodes.inside}.${index + 1}`, agent))
  }
  const [A = '', B = ''] = names

  const known = {GPUCTL_CONFIG_DIR: folder, GPUCTL_DATA_DIR: folder, GPUCTL_CACHE_DIR: join(folder, 'cache')}
  const {code, output} = await runStorageChain({
    chain: {
      ...{A, B, ON_B: on('inside').join(' '), DISK: device, POOL: pool, TYPE: 'lvm'},
      ...{PLACE: join('/srv/gpuctl', pool), NETWORK: network, KERNEL_NFS: 'yes'},
      // Instances are processes of A, and find the site where it stands.
      ...{
        INSTANCE: '--image host',
        AT: join('/srv/gpuctl', pool, 'data'),
        VAULT: [...vault, '--secret-file', secretFile].join(' '),
      },
    },
    env: {...known, HOME: folder, NO_COLOR: '1', GPUCTL_SERVER: server.url, GPUCTL_TOKEN: server.token},
    ...{program, longestMs: 700_000},
  })

  expect({code, end: output.slice(-3_000)}).toMatchObject({code: 0, end: expect.stringContaining('s: Done')})
}, 800_000)

/** The name of the machine with this address, when it is connected. */
async function joined({url, token}: ServerProcess, address: string, agent: AgentProcess): Promise<string> {
  const target = async () => ({server: url, token})
  const client = new Client({target, userAgent: 'gpuctl-test', timeoutMs: 60_000})
  const look = async () => {
    const found = await client.call('nodes.list', {})
    return found.find(one => one.connected && one.address === address)?.name
  }
  return eventually(look, {...patience, what: `${address} to be connected`}).catch(error => {
    throw new Error(`${error.message}\n${agent.log()}`, {cause: error})
  })
}
