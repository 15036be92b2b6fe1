import {chmod, stat, utimes, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {saveIdentity} from '../../src/agent/identity.ts'
import type {Finding} from '../../src/contract/finding.ts'
import {startNodeAgent} from '../../src/main/node-agent.ts'
import {ensurePrivateDirectory} from '../../src/platform/files.ts'
import {createLogger} from '../../src/platform/logger.ts'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

/** A machine with its agent, whose mounts are those of a table of its own. */
async function machine(plane: ControlPlane, name: string) {
  const root = await temporaryDirectory('gpuctl-machine-')
  const directory = join(root, 'agent')
  const {nodeId, nodeKey} = await plane.node(name)
  const {serverId} = await plane.ok<{serverId: string}>('server.version')
  await ensurePrivateDirectory(directory)
  await saveIdentity(join(directory, 'identity.json'), {server: plane.url, serverId, nodeId, nodeKey, name})
  const fstab = join(root, 'fstab')
  await writeFile(fstab, '')
  const agent = await startNodeAgent({
    server: plane.url,
    directory,
    version: '0.0.0-test',
    logger: createLogger({level: 'silent'}),
    runtime: 'fake',
    fakeGpus: '1',
    storage: {fstab, exports: join(root, 'exports'), mountRoot: join(root, 'mounts'), poolRoot: join(root, 'pools')},
    onJoin: {code: () => {}, waiting: () => {}},
    onLink: () => {},
    signal: new AbortController().signal,
  })
  onTestFinished(() => agent.stop())
  return {directory, fstab, mounts: join(root, 'mounts')}
}

const ofMachine = ({stdout}: {stdout: string}) =>
  (JSON.parse(stdout) as Finding[]).filter(({check}) => ['folder', 'leftovers', 'storage'].includes(check))

test('node doctor --fix asks the agent, which mends what is its own, tells what it could not, and is in the audit', {
  timeout: 120_000,
}, async () => {
  const plane = await controlPlane()
  const {directory, fstab, mounts} = await machine(plane, 'gpu-1')
  const {run} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const levels = async (...args: string[]) => {
    const ran = await run(['node', 'doctor', 'gpu-1', '-o', 'json', ...args])
    return {code: ran.code, found: ofMachine(ran), stderr: ran.stderr}
  }
  const isWell = async () => (await levels()).found.every(({level}) => level === 'ok')
  await eventually(async () => (await levels()).found.length === 3 && (await isWell()), {withinMs: 30_000})

  const key = join(directory, 'machine-key')
  const half = join(directory, '.state.json.0123456789ab.tmp')
  const young = join(directory, '.state.json.ba9876543210.tmp')
  await chmod(key, 0o644)
  for (const path of [half, young]) await writeFile(path, '{')
  await utimes(half, new Date(0), new Date(0))

  expect(await levels()).toMatchObject({
    code: 1,
    found: expect.arrayContaining([
      expect.objectContaining({check: 'folder', level: 'error', message: expect.stringContaining(key)}),
      expect.objectContaining({check: 'leftovers', level: 'warn', fix: `Run \`rm -r ${half}\`.`}),
    ]),
  })
  expect(await run(['node', 'doctor', 'gpu-1', '--fix', '-o', 'json'])).toMatchObject({
    code: 2,
    stdout: expect.stringContaining('Give --yes.'),
  })
  expect(await levels('--fix', '--dry-run')).toMatchObject({
    code: 10,
    stderr: expect.stringContaining(`Would be mended: leftovers: Run \`rm -r ${half}\`.`),
  })
  expect((await stat(key)).mode & 0o777).toBe(0o644)

  const mended = await levels('--fix', '--yes')

  expect(mended).toMatchObject({code: 0})
  expect(mended.found.map(({check, level}) => [check, level])).toEqual([
    ['storage', 'ok'],
    ['folder', 'ok'],
    ['leftovers', 'ok'],
  ])
  expect(mended.found.at(-1)?.message).toMatch(/Mended\.$/)
  expect((await stat(key)).mode & 0o777).toBe(0o600)
  await expect(stat(half)).rejects.toMatchObject({code: 'ENOENT'})
  expect(await stat(young)).toBeDefined()
  const rows = await plane.ok<{action: string; details: object}[]>('audit.list', {}, {token: plane.adminToken})
  expect(rows.find(({action}) => action === 'tasks.submit node.repair')).toMatchObject({details: {node: 'gpu-1'}})

  // A mount of ours whose server is nowhere: it cannot be brought back, and the other repair is done all the same.
  const options = 'vers=4,hard,timeo=50,retrans=2,_netdev,nofail,rw,x-gpuctl.mount=data'
  await writeFile(fstab, `127.0.0.1:/nowhere ${join(mounts, 'data')} nfs4 ${options} 0 0\n`)
  await chmod(key, 0o644)
  const second = await levels('--fix', '--yes')

  expect(second.code).toBe(1)
  expect(second.found).toEqual(
    expect.arrayContaining([
      expect.objectContaining({check: 'folder', level: 'ok', message: expect.stringMatching(/Mended\.$/)}),
      expect.objectContaining({
        check: 'storage',
        level: 'error',
        message: expect.stringMatching(/data is not mounted .* It could not be mended\. .*storage: /),
      }),
    ]),
  )
  expect((await stat(key)).mode & 0o777).toBe(0o600)
})

test('only checks that the agent has are mended', async () => {
  const plane = await controlPlane()
  await machine(plane, 'gpu-2')
  const token = plane.adminToken
  const ask = (input: object) => plane.ask('nodes.repair', {id: 'gpu-2', ...input}, {token})
  await eventually(async () => (await plane.ask('nodes.examine', {id: 'gpu-2'}, {token})).status === 200)

  expect(await ask({checks: ['rm']})).toMatchObject({
    status: 400,
    json: {error: {code: 'input_invalid', message: expect.stringContaining('rm is nothing that gpu-2 looks at')}},
  })
  expect((await ask({checks: ['../x']})).status).toBe(400)
  expect((await ask({checks: ['leftovers'], dryRun: true})).json).toMatchObject({dryRun: true})
})
