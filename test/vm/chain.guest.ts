import {mkdir, writeFile} from 'node:fs/promises'
import {join, resolve} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {Client} from '../../src/client/client.ts'
import {AgentProcess} from '../bench/agent-process.ts'
import {createJoinToken} from '../bench/fleet.ts'
import {ServerProcess} from '../bench/server-process.ts'
import {runStorageChain} from '../support/storage-chain.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {looseDisk} from '../support/zfs.ts'
import {server as home, network, nodes, on, startNodes} from './guest/nodes.ts'

// In the machine of boot.sh; with ZFS, containers and S3: test/e2e/storage-chain.test.ts.

/** Everything takes ten to twenty times as long in there. */
const patience = {withinMs: 120_000}
const program = resolve('bin/run.js')

test('NFS: a disk becomes a pool that another node mounts and writes, a site, a full one, a backup; all comes back', async () => {
  startNodes()
  const folder = await temporaryDirectory()
  const vault = join(folder, 'vault')
  await mkdir(vault)
  const {device, pool} = await looseDisk()
  const server = await ServerProcess.start({program, data: join(folder, 'server'), listen: `${home}:0`, everyMs: 200})
  onTestFinished(async () => void (await server.stop()))
  const joinTokenFile = join(folder, 'join-token')
  await writeFile(joinTokenFile, await createJoinToken(server, 2), {mode: 0o600})
  const joining = {program, server: server.url, joinTokenFile}
  const agents = [
    AgentProcess.start({...joining, data: join(folder, 'a')}),
    AgentProcess.start({...joining, data: join(folder, 'b'), via: on('inside')}),
  ]
  onTestFinished(async () => void (await Promise.all(agents.map(agent => agent.stop()))))
  const [a, b] = await joined(server, [home, `${nodes.inside}.2`])

  const known = {GPUCTL_CONFIG_DIR: folder, GPUCTL_DATA_DIR: folder, GPUCTL_CACHE_DIR: join(folder, 'cache')}
  const {code, output} = await runStorageChain({
    chain: {
      ...{A: a ?? '', B: b ?? '', ON_B: on('inside').join(' '), DISK: device, POOL: pool, TYPE: 'lvm'},
      ...{
        PLACE: join('/srv/gpuctl', pool),
        NETWORK: network,
        KERNEL_NFS: 'yes',
        ENGINE: 'no',
        VAULT: `--path ${vault}`,
      },
    },
    env: {...known, HOME: folder, NO_COLOR: '1', GPUCTL_SERVER: server.url, GPUCTL_TOKEN: server.token},
    ...{program, longestMs: 280_000},
  })

  expect({code, end: output.slice(-3_000)}).toMatchObject({code: 0, end: expect.stringContaining('s: Done')})
})

/** The names of the machines with these addresses, when all are connected. */
async function joined({url, token}: ServerProcess, addresses: string[]): Promise<string[]> {
  const client = new Client({
    target: async () => ({server: url, token}),
    ...{userAgent: 'gpuctl-test', timeoutMs: 60_000},
  })
  const look = async () => {
    const found = (await client.call('nodes.list', {})).filter(({connected}) => connected)
    const names = addresses.map(address => found.find(one => one.address === address)?.name ?? '')
    return names.includes('') ? undefined : names
  }
  return (await eventually(look, {...patience, everyMs: 1_000, what: 'both machines to be connected'})) ?? []
}
