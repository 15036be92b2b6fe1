import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {expect, onTestFinished, test} from 'vitest'
import {readAudit} from '../support/control-plane.ts'
import type {SshClient} from '../support/ssh-client.ts'
import {sshPlace} from '../support/ssh-place.ts'
import {openTerminal} from '../support/ssh-shell.ts'
import {eventually} from '../support/wait.ts'

/** OpenSSH's client as a process that can be stopped; it has said `begun`. */
async function inside(client: SshClient, login: string, command: string): Promise<ChildProcess> {
  const flags = [...client.keyOptions(), '-p', String(client.port), `${login}@127.0.0.1`]
  const child = spawn('ssh', [...flags, `echo begun; ${command}`], {stdio: ['pipe', 'pipe', 'ignore']})
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

test('T26: each session leaves its beginning and its end in the audit: who, where, why it ended, bytes and time', async context => {
  const {client, ada, adaId, fleet, door} = await sshPlace(context)
  const open = async (count: number) =>
    eventually(async () => {
      const list = await ada.call('sessions.list', {})
      return list.length === count && list
    })

  // Left, killed, cut off by its own client, and ended with the account.
  expect(await client.ssh('ada+train', ['cat; exit 3'], {input: 'x'.repeat(10_000)})).toMatchObject({code: 3})
  await open(0)
  const killed = await openTerminal(client, 'ada+train')
  const [{id: killedId = ''} = {}] = await open(1)
  await ada.call('sessions.kill', {id: killedId})
  await killed.closed
  await open(0)
  const vanished = await inside(client, 'ada+train', 'sleep 60')
  await open(1)
  vanished.kill('SIGKILL')
  await open(0)
  const revoked = await openTerminal(client, 'ada+train')
  await open(1)
  await fleet.client.call('users.update', {id: adaId, enabled: false})
  await revoked.closed
  // Who does not get in has had no session.
  expect(await client.ssh('ada+train', ['true'])).toMatchObject({code: 255})
  await fleet.server.stop()

  const rows = (await readAudit(door.directory)).filter(({action}) => /^sessions\./.test(action))
  const starts = rows.filter(({action}) => action === 'sessions.start')
  const ends = rows.filter(({action}) => action === 'sessions.end')
  expect(starts).toHaveLength(4)
  for (const start of starts) expect(start).toMatchObject({actor: 'ada', details: {kind: 'ssh'}})
  expect(ends.map(({object}) => object)).toEqual(starts.map(({object}) => object))
  expect(ends.map(({details}) => details.why)).toEqual(['closed', 'killed', 'closed', 'revoked'])
  for (const {actor, details} of ends) {
    expect([actor, details]).toMatchObject(['ada', {kind: 'ssh', instance: 'train', durationMs: expect.any(Number)}])
  }
  expect(Number(ends[0]?.details.bytesIn)).toBeGreaterThan(10_000)
  expect(Number(ends[0]?.details.bytesOut)).toBeGreaterThan(10_000)
  expect(rows.filter(({action}) => action === 'sessions.kill')).toMatchObject([{actor: 'ada', object: killedId}])
})

test('T26: a client that answers no more loses its session and its process in time, silent or amid output; one that answers stays', async context => {
  const [keepaliveMs, maxUnanswered] = [500, 3]
  const {client, ada, fleet, claim} = await sshPlace(context, {ssh: {keepaliveMs, maxUnanswered}})
  const commands = async () => {
    const {Id} = await fleet.container(claim)
    const {Processes} = (await fleet.docker.getContainer(Id).top()) as {Processes: string[][]}
    return Processes.map(row => row.at(-1))
  }
  await inside(client, 'ada+train', 'exec sleep 601')

  for (const command of ['sleep 602', 'yes']) {
    const stopped = await inside(client, 'ada+train', `exec ${command}`)
    await eventually(async () => (await ada.call('sessions.list', {})).length === 2)
    await eventually(async () => (await commands()).includes(command))
    stopped.kill('SIGSTOP')

    const begin = performance.now()
    await eventually(async () => (await ada.call('sessions.list', {})).length === 1, {withinMs: 15_000})
    const tookMs = performance.now() - begin
    expect([command, tookMs]).toEqual([command, expect.toSatisfy(ms => ms < keepaliveMs * (maxUnanswered + 1) + 2_000)])
    await eventually(async () => !(await commands()).includes(command), {withinMs: 15_000})
  }
  expect(await commands()).toContain('sleep 601')
  expect(await ada.call('sessions.list', {})).toHaveLength(1)
})
