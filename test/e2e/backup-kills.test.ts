import {randomBytes} from 'node:crypto'
import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import type {Backup, Snapshot} from '../../src/contract/schemas/sites.ts'
import type {Task} from '../../src/contract/schemas/tasks.ts'
import {AgentProcess} from '../bench/agent-process.ts'
import {Api} from '../bench/api.ts'
import {createJoinToken} from '../bench/fleet.ts'
import {ServerProcess} from '../bench/server-process.ts'
import {program} from '../support/gpuctl.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

const withinMs = 90_000

test('F18: a backup, its restore and its deletion outlive kills of agent and server in their middle, with nothing half done', async context => {
  need(context, 'root')
  const data = await temporaryDirectory('gpuctl-backup-kill-')
  let server = await ServerProcess.start({program, data: join(data, 'server')})
  let api = new Api(server)
  const joinTokenFile = join(data, 'join-token')
  await writeFile(joinTokenFile, await createJoinToken(server, 1), {mode: 0o600})
  let agent = AgentProcess.start({program, data: join(data, 'agent'), server: server.url, joinTokenFile})
  onTestFinished(async () => {
    api.close()
    await agent.stop()
    await server.stop()
  })
  const get = <T>(path: string) => api.ok<T>('GET', path)
  const nodes = () => get<{name: string; connected: boolean}[]>('/nodes')
  const ended = (id: string) =>
    eventually(
      async () => {
        const task = await get<Task>(`/tasks/${id}`)
        return task.finishedAt !== null && task
      },
      {withinMs, what: 'the end of the task'},
    )
  const begin = async (method: string, path: string, body?: object) =>
    (await api.ok<{task: Task}>(method, path, {body, timeoutMs: 30_000})).task.id
  const done = async (id: string) => expect(await ended(id)).toMatchObject({status: 'completed', error: null})
  const strike = async (id: string, who: 'agent' | 'both') => {
    await eventually(async () => (await get<Task>(`/tasks/${id}`)).status !== 'pending', {withinMs, everyMs: 5})
    await agent.kill9()
    if (who === 'both') {
      await server.kill9()
      api.close()
      server = await ServerProcess.start({program, data: join(data, 'server'), listen: `127.0.0.1:${server.port}`})
      api = new Api(server)
    }
    const wasUnderWay = (await get<Task>(`/tasks/${id}`)).finishedAt === null
    agent = agent.again()
    return wasUnderWay
  }

  await eventually(async () => (await nodes())[0]?.connected, {withinMs})
  const [node] = await nodes()
  await done(await begin('POST', '/storage/pools', {name: 'tank', node: node?.name, type: 'fake'}))
  await api.ok('PUT', `/nodes/${node?.name}/quota`, {body: {storageQuotaGb: 1}})
  await done(await begin('POST', '/sites', {name: 'shop', node: node?.name, quotaBytes: 2 ** 28}))
  const folder = join(agent.data, 'agent', 'storage', 'fake', 'tank')
  const content = randomBytes(48 * 2 ** 20)
  await writeFile(join(folder, 'shop', 'page'), content)
  const target = await temporaryDirectory('gpuctl-target-')
  await api.ok('POST', '/backup-targets', {body: {name: 'disk', type: 'directory', path: target}})
  let fired = 0
  for (const who of ['agent', 'both'] as const) {
    const making = await begin('POST', '/backups', {site: 'shop', target: 'disk'})
    if (await strike(making, who)) fired++
    await done(making)
    const [backup] = await get<Backup[]>('/backups')
    expect(await readdir(target)).toEqual([backup?.filename])
    expect(await get<Snapshot[]>('/sites/shop/snapshots')).toEqual([])

    const restoring = await begin('POST', `/backups/${backup?.id}/restore`, {site: `copy-${who}`})
    if (await strike(restoring, who)) fired++
    await done(restoring)
    expect(content.equals(await readFile(join(folder, `copy-${who}`, 'page')))).toBe(true)

    const deleting = await begin('DELETE', `/backups/${backup?.id}?confirm=${backup?.filename}`)
    if (await strike(deleting, who)) fired++
    await done(deleting)
    expect([await readdir(target), await get('/backups')]).toEqual([[], []])
  }
  expect(fired).toBeGreaterThanOrEqual(2)
}, 400_000)
