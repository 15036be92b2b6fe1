import {execFile, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {readdir, readFile, rename, stat, writeFile} from 'node:fs/promises'
import {connect, createServer} from 'node:net'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {expect, onTestFinished, type TestContext, test, vi} from 'vitest'
import type {Backup} from '../../src/contract/schemas/sites.ts'
import type {Task} from '../../src/contract/schemas/tasks.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator, program} from '../support/gpuctl.ts'
import {linkedStorage} from '../support/linked-storage.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

vi.setConfig({testTimeout: 120_000})

const megabyte = 2 ** 20

/** A server with a node, and a backup of some megabytes in a folder of that node. */
async function placeWithBackup(context: TestContext) {
  need(context, 'root')
  const plane = await controlPlane()
  const token = plane.adminToken
  const storage = openStorage({directory: await temporaryDirectory()})
  await linkedStorage(plane, 'gpu-1', storage)
  const done = async (name: Parameters<typeof plane.ok>[0], input: Record<string, unknown>) => {
    const {task} = await plane.ok<{task: Task}>(name, input, {token})
    const look = () => plane.ok<Task>('tasks.get', {id: task.id}, {token})
    await eventually(async () => (await look()).finishedAt !== null, {withinMs: 60_000, what: name})
    expect(await look()).toMatchObject({error: null, status: 'completed'})
  }
  await done('pools.create', {name: 'tank', node: 'gpu-1', type: 'fake'})
  await plane.ok('nodes.setQuota', {id: 'gpu-1', storageQuotaGb: 1}, {token})
  await done('sites.create', {name: 'shop', node: 'gpu-1', quotaBytes: 64 * megabyte})
  const [volume] = await storage.call('volumes.list', {pool: 'tank', type: 'fake'})
  await writeFile(join(volume!.path, 'page'), randomBytes(6 * megabyte))
  const folder = await temporaryDirectory('gpuctl-target-')
  await plane.ok('backupTargets.create', {name: 'disk', type: 'directory', path: folder}, {token})
  await done('backups.create', {site: 'shop', target: 'disk'})
  const [backup] = (await plane.ok<Backup[]>('backups.list', {}, {token})) as [Backup]
  const content = await readFile(join(folder, backup.filename))
  const here = await temporaryDirectory('gpuctl-here-')
  const gpuctl = (server = plane.url) => operator({GPUCTL_SERVER: server, GPUCTL_TOKEN: token})
  return {plane, token, folder, backup, content, here, gpuctl}
}

/** Stands before the server: its first answers end, or stay away, after so many bytes. */
async function faultyWay(url: string, {times, afterBytes, stalls = false}: Record<string, number | boolean>) {
  const counts = {fired: 0}
  const server = createServer(client => {
    const upstream = connect(Number(new URL(url).port), '127.0.0.1')
    let passed = 0
    const close = () => void [client, upstream].map(socket => socket.destroy())
    for (const socket of [client, upstream]) socket.on('error', close).on('close', close)
    client.pipe(upstream)
    upstream.on('data', (piece: Buffer) => {
      passed += piece.length
      if (passed <= Number(afterBytes) || counts.fired >= Number(times)) return void client.write(piece)
      counts.fired++
      if (stalls) upstream.pause()
      else close()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return {counts, url: `http://127.0.0.1:${(server.address() as {port: number}).port}`}
}

test('a backup comes whole though the way to the server is cut again and again', async context => {
  const {plane, backup, content, here, gpuctl} = await placeWithBackup(context)
  const way = await faultyWay(plane.url, {times: 2, afterBytes: megabyte})
  const {run, env} = await gpuctl(way.url)

  const {code, stdout, stderr} = await run(['backup', 'download', String(backup.number), here])

  expect({code, stderr}).toMatchObject({code: 0, stderr: expect.stringMatching(/Downloading shop_.* 95 %/)})
  expect(stdout).toContain(`${backup.filename} is in ${here}/${backup.filename}, and is what was written.`)
  expect(way.counts.fired).toBe(2)
  expect(await readdir(here)).toEqual([backup.filename])
  expect(content.equals(await readFile(join(here, backup.filename)))).toBe(true)
  expect((await stat(join(here, backup.filename))).mode & 0o777).toBe(0o600)
  const again = await run(['backup', 'download', String(backup.number), here])
  expect(again).toMatchObject({code: 2, stderr: expect.stringContaining('is there already')})

  const piped = await new Promise<Buffer>((resolve, reject) => {
    const options = {env, encoding: 'buffer', maxBuffer: 2 ** 26} as const
    execFile(process.execPath, [program, 'backup', 'download', backup.id, '-'], options, (error, out) =>
      error ? reject(error) : resolve(out),
    )
  })
  expect(content.equals(piped)).toBe(true)
})

test('T31: a download that was interrupted keeps what has come and goes on there; who takes a backup is written down', async context => {
  const {plane, backup, content, here, gpuctl} = await placeWithBackup(context)
  const way = await faultyWay(plane.url, {times: 1, afterBytes: megabyte, stalls: true})
  const file = join(here, 'copy.tar.zst')
  const part = `${file}.${backup.checksum?.slice(0, 8)}.part`
  const {env} = await gpuctl(way.url)
  const child = spawn(process.execPath, [program, 'backup', 'download', backup.filename, file], {env, stdio: 'pipe'})
  const [said, ended] = [text(child.stderr), once(child, 'close')]
  await eventually(async () => way.counts.fired > 0 && (await stat(part)).size > 0, {
    ...{withinMs: 60_000, what: 'the first bytes'},
  })
  child.kill('SIGINT')

  expect(await ended).toEqual([130, null])
  expect(await said).toMatch(/MiB are in .*\.part; the same command goes on\./)
  expect(await readdir(here)).toEqual([`copy.tar.zst.${backup.checksum?.slice(0, 8)}.part`])
  const {run} = await gpuctl()
  expect(await run(['backup', 'download', backup.filename, file])).toMatchObject({code: 0})
  expect(await readdir(here)).toEqual(['copy.tar.zst'])
  expect(content.equals(await readFile(file))).toBe(true)
  const audit = (await plane.stopAndReadAudit()).filter(({action}) => action === 'backups.download')
  expect(audit.map(({actor, object}) => [actor, object])).toEqual([
    ['admin', backup.id],
    ['admin', backup.id],
  ])
  expect(audit.map(({details}) => (details as {offset: number}).offset)).toEqual([0, expect.any(Number)])
})

test('what is not what was written gets no name; what is gone, foreign or beyond the end is said', async context => {
  const {plane, token, folder, backup, content, here, gpuctl} = await placeWithBackup(context)
  const spoiled = Buffer.from(content)
  spoiled[megabyte] = (spoiled[megabyte] ?? 0) ^ 1
  await writeFile(join(folder, backup.filename), spoiled)
  const {run} = await gpuctl()
  const download = ['backup', 'download', backup.filename, here]

  expect(await run(download)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/SHA-256 differs[\s\S]*backup verify/),
  })
  expect(await readdir(here)).toEqual([])
  const beyond = await plane.ask('backups.download', {id: backup.id, offset: content.length + 1}, {token})
  expect(beyond).toMatchObject({status: 400, json: {error: {code: 'input_invalid'}}})
  expect(beyond.text).toContain('offset')
  const rest = await plane.ask('backups.download', {id: backup.id, offset: content.length}, {token})
  expect(rest).toMatchObject({status: 200, text: ''})

  await rename(join(folder, backup.filename), join(folder, 'elsewhere'))
  expect(await run(download)).toMatchObject({code: 3, stderr: expect.stringContaining('not there any more')})
  expect(await readdir(here)).toEqual([])
  const {password} = await plane.user('bob', {role: 'node_admin'})
  const bob = await plane.login('bob', password)
  expect(await plane.ask('backups.download', {id: backup.id}, {token: bob})).toMatchObject({status: 404})
})
