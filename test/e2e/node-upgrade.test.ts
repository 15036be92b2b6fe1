import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {Client} from '../../src/client/client.ts'
import type {Task} from '../../src/contract/schemas/tasks.ts'
import {readRunFile} from '../../src/main/run-file.ts'
import {AgentProcess} from '../bench/agent-process.ts'
import {ServerProcess} from '../bench/server-process.ts'
import {operator, program} from '../support/gpuctl.ts'
import {programOfVersion} from '../support/program-versions.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

const next = '0.99.0'
const crash = "if (process.argv[2] === 'agent') throw new Error('broken on purpose')\n"

/** A server of the next version, an agent of this one, and work that runs there. */
async function fleet() {
  const newer = await programOfVersion(next)
  const root = await temporaryDirectory('gpuctl-upgrade-')
  const data = join(root, 'server-data')
  let server = await ServerProcess.start({program: newer.program, data})
  onTestFinished(() => void server.kill9())
  const person = await operator({GPUCTL_SERVER: server.url, GPUCTL_TOKEN: server.token})
  const joinTokenFile = join(root, 'join-token')
  const {secret} = await person.json<{secret: string}>(['node', 'join-token', 'create', 'one', '--auto-approve'])
  await writeFile(joinTokenFile, secret, {mode: 0o600})
  const agentData = join(root, 'agent-data')
  await mkdir(agentData, {mode: 0o700})
  let agent = AgentProcess.start({program, data: agentData, server: server.url, joinTokenFile})
  onTestFinished(async () => void (await agent.stop()))
  const client = new Client({
    target: async () => ({server: server.url, token: server.token}),
    userAgent: 'gpuctl-test',
    timeoutMs: 10_000,
  })
  const node = async () => (await client.call('nodes.list', {}))[0]
  await eventually(async () => (await node())?.status === 'online', {withinMs: 30_000, everyMs: 200})
  const pidFile = join(root, 'pid')
  const script = `echo $$ > ${pidFile}; exec sleep 1000`
  await person.ok([
    'claim',
    'submit',
    '--image',
    'host',
    '--gpus',
    '1',
    '--name',
    'train',
    '--wait',
    '--',
    'sh',
    '-c',
    script,
  ])
  const pid = Number(await eventually(() => readFile(pidFile, 'utf8'), {withinMs: 10_000}))
  onTestFinished(() => void isAlive(pid, 'SIGKILL'))
  return {
    person,
    node,
    client,
    newer,
    agentData,
    /** The very process, and what the server says of it. */
    work: async () => ({
      isAlive: isAlive(pid),
      ...(await client.call('instances.get', {id: 'train'})),
    }),
    identity: () => readFile(join(agentData, 'agent', 'identity.json'), 'utf8'),
    kept: async () => JSON.parse(await readFile(join(agentData, 'agent', 'programs', 'state.json'), 'utf8')),
    agentLog: () => agent.log(),
    /** As a service manager would. */
    agentAgain: async (how: 'kill9' | 'stop') => {
      const signal = await agent[how]()
      agent = agent.again()
      return signal
    },
    serverAgain: async () => {
      const {port} = server
      await server.stop()
      server = await ServerProcess.start({program: newer.program, data, listen: `127.0.0.1:${port}`})
    },
    upgrade: (...flags: string[]) =>
      person.run(['node', 'upgrade', '--all', '--yes', '-o', 'json', ...flags], {withinMs: 120_000}),
  }
}

function isAlive(pid: number, signal: NodeJS.Signals | 0 = 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

test('an agent that does not start goes back to the former one and says so; one that does comes back as the same node, whatever is killed meanwhile, and its work runs on', {
  timeout: 300_000,
}, async () => {
  const {person, client, newer, node, work, upgrade, identity, kept, agentData, ...the} = await fleet()
  const [before, who, running] = [await node(), await identity(), await work()]
  expect(running).toMatchObject({isAlive: true, status: 'running'})
  expect(before?.agentVersion).not.toBe(next)
  const sound = await readFile(newer.program, 'utf8')
  await writeFile(newer.program, sound.replace('const argv =', `${crash}const argv =`))

  const dry = await person.run(['node', 'upgrade', '--all', '--dry-run'])
  expect(dry).toMatchObject({code: 10, stdout: `Wave 1: ${before?.name} would be upgraded to ${next}.\n`})
  const failed = await upgrade('--wait')

  expect(failed, failed.stdout).toMatchObject({code: 1})
  expect(JSON.parse(failed.stdout).error.message).toMatch(
    /upgrade to 0\.99\.0 was stopped\. .*It ended 3 times before the server had confirmed it\. It runs \S+ again\. Not upgraded/,
  )
  expect(await eventually(async () => ((await node())?.connected ? node() : undefined))).toMatchObject({
    ...{id: before?.id, agentVersion: before?.agentVersion},
  })
  expect(await kept()).toEqual({failed: expect.objectContaining({version: next})})
  expect(await work()).toEqual(running)

  await writeFile(newer.program, sound)
  await the.serverAgain()
  await eventually(async () => (await node())?.connected, {withinMs: 30_000, everyMs: 200})

  // Killed while it unpacks, and again when it is on trial or soon will be.
  const {task, waves} = JSON.parse((await upgrade()).stdout) as {task: Task; waves: string[][]}
  const programs = join(agentData, 'agent', 'programs')
  const isUnpacking = async () => (await readdir(programs)).some(name => name.startsWith('.unpack-'))
  await eventually(isUnpacking, {withinMs: 60_000, everyMs: 1})
  await the.agentAgain('kill9')
  const isFurther = async () => (await kept()).trial !== undefined || !(await isUnpacking())
  await eventually(isFurther, {withinMs: 60_000, everyMs: 1})
  await the.agentAgain('kill9')
  const done = await person.run(['task', 'wait', String(task.number), '-o', 'json'], {withinMs: 120_000})

  expect(done, `${done.stdout}${done.stderr}${the.agentLog()}`).toMatchObject({code: 0})
  expect(waves).toEqual([[before?.name]])
  const result = {version: next, upgraded: [before?.name]}
  expect(await client.call('tasks.get', {id: task.id})).toMatchObject({status: 'completed', result})
  expect((await readdir(programs)).sort()).toEqual([next, 'state.json'])
  expect(await node()).toMatchObject({id: before?.id, agentVersion: next, connected: true})
  expect(await identity()).toBe(who)
  const rows = await client.call('audit.list', {})
  expect(rows.filter(({action}) => action === 'tasks.submit node.upgrade')).toHaveLength(2)
  expect(await kept()).toEqual({current: next})
  expect(await work()).toEqual(running)
  const again = await upgrade('--wait')
  expect(JSON.parse(again.stdout)).toMatchObject({task: null, waves: [], skipped: [{isCurrent: true}]})
  expect(again.code).toBe(0)

  // Killed, it is the installed program that starts, and that one starts the newer; the one before it is gone by itself.
  await the.agentAgain('kill9')
  const isOnline = async () => {
    const found = await readRunFile(join(agentData, 'agent'))
    return found?.node?.status === 'online' ? found : undefined
  }
  const {pid, version} = await eventually(isOnline, {withinMs: 60_000, everyMs: 100, what: the.agentLog()})
  expect(version).toBe(next)
  expect(await work()).toEqual(running)
  expect(await the.agentAgain('stop'), 'it ends by itself').toBeNull()
  await eventually(() => !isAlive(pid))
  expect((await work()).isAlive).toBe(true)

  // One that hangs is not left behind when its parent is to end.
  const parent = await eventually(isOnline, {withinMs: 60_000, everyMs: 100, what: the.agentLog()})
  const child = Number((await readFile(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8')).trim())
  process.kill(child, 'SIGSTOP')
  expect(await the.agentAgain('stop'), 'it ends by itself').toBeNull()
  expect(isAlive(child)).toBe(false)
  expect((await work()).isAlive).toBe(true)
})
