import {execFileSync, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {mkdir, readdir, readFile, stat, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, type TestContext, test, vi} from 'vitest'
import type {BackupJobState, TargetAccess} from '../../src/contract/storage-protocol.ts'
import type {StorageHost} from '../../src/storage/host.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {looseDisk, zfs} from '../support/zfs.ts'

// Many storage programs, one after the other, on a machine that may be busy.
vi.setConfig({testTimeout: 150_000})

/** Until the job is done. */
async function finished(ask: () => Promise<BackupJobState>) {
  for (;;) {
    const state = await ask()
    if (state.state === 'done') return state
  }
}

/** A pool with volume `data` that has files, a link and a snapshot `s1` of them. */
async function place(context: TestContext, type: 'zfs' | 'fake' = 'fake') {
  need(context, 'root')
  if (type === 'zfs') {
    need(context, 'zfs')
    await zfs()
  }
  const directory = await temporaryDirectory()
  const host: StorageHost = openStorage({directory})
  const {device, pool} = type === 'zfs' ? await looseDisk() : {device: undefined, pool: 'tank'}
  await host.call('pool.create', {pool, type, force: false, mark: 'task-1', ...(device ? {device} : {})})
  const volume = {pool, type, volume: 'data'}
  const {path} = await host.call('volume.create', {...volume, quotaBytes: null, mark: 'task-1'})
  const content = randomBytes(3 * 2 ** 20)
  await mkdir(join(path, 'folder'))
  await writeFile(join(path, 'folder', 'big'), content, {mode: 0o640})
  await symlink('folder/big', join(path, 'link'))
  await host.call('snapshot.create', {...volume, snapshot: 's1'})
  await writeFile(join(path, 'later'), 'after the snapshot')
  const folder = await temporaryDirectory('gpuctl-target-')
  const target: TargetAccess = {type: 'directory', path: folder}
  return {directory, host, volume, path, content, folder, target}
}

test('F18: a restore waits for what an agent that died is still unpacking there', async context => {
  const {volume, path, target, host, directory} = await place(context)
  const file = {target, filename: 'data_1.tar.zst'}
  const {sizeBytes, checksum} = await finished(() =>
    host.call('backup.make', {...volume, ...file, snapshot: 's1', job: 'job-1', format: 'tar'}),
  )
  const restoring = {
    ...volume,
    ...{
      job: 'job-2',
      pieces: [{...file, sizeBytes, checksum}],
      format: 'tar' as const,
      quotaBytes: null,
      replace: true,
    },
  }
  await finished(() => host.call('backup.restore', restoring))
  const lock = join(directory, 'locks', `files-${volume.pool}-${volume.volume}`)
  // As the agent runs it: the pipe that it read from is closed with the agent.
  const orphan = spawn('flock', [lock, 'sh', '-c', `echo; read line; echo half > ${path}/late`])
  await once(orphan.stdout, 'data')
  const next = openStorage({directory})

  expect(await next.call('backup.restore', {...restoring, job: 'job-3'})).toEqual({state: 'running', bytes: 0})
  orphan.stdin.end()
  await finished(() => next.call('backup.restore', {...restoring, job: 'job-3'}))
  expect((await readdir(path)).filter(name => !name.startsWith('.'))).toEqual(['folder', 'link'])
})

test.for(['zfs', 'fake'] as const)(
  'what a snapshot of a %s pool had is in the file, and comes back byte for byte',
  async (type, context) => {
    const {host, volume, content, folder, target} = await place(context, type)
    const file = {target, filename: 'data_1.tar.zst'}
    const making = {...volume, ...file, snapshot: 's1', job: 'job-1', format: 'tar' as const}

    const made = await finished(() => host.call('backup.make', making))

    expect(await readdir(folder)).toEqual(['data_1.tar.zst'])
    expect((await stat(join(folder, 'data_1.tar.zst'))).mode & 0o777).toBe(0o600)
    expect(await host.call('backup.find', file)).toEqual({sizeBytes: made.sizeBytes})
    expect(sha256(join(folder, 'data_1.tar.zst'))).toBe(made.checksum)
    expect(await host.call('backup.make', making)).toEqual(made)
    expect((await host.call('volumes.list', volume)).map(one => one.volume)).toEqual(['data'])

    const piece = {...file, sizeBytes: made.sizeBytes, checksum: made.checksum}
    expect(await finished(() => host.call('backup.verify', {job: 'job-2', pieces: [piece]}))).toEqual(made)
    const restoring = {
      ...volume,
      volume: 'copy',
      job: 'job-3',
      format: 'tar' as const,
      replace: false,
      quotaBytes: null,
      pieces: [piece],
    }
    await finished(() => host.call('backup.restore', restoring))
    const copy = (await host.call('volumes.list', volume)).find(one => one.volume === 'copy')!.path
    expect((await readFile(join(copy, 'link'))).equals(content)).toBe(true)
    expect((await stat(join(copy, 'folder', 'big'))).mode & 0o777).toBe(0o640)
    expect((await readdir(copy)).filter(name => !name.startsWith('.'))).toEqual(['folder', 'link'])

    await host.call('backup.delete', {...file, job: 'job-1'})
    await host.call('backup.delete', {...file, job: 'job-1'})
    expect(await readdir(folder)).toEqual([])
  },
)

test('a chain of streams brings back the last state, and each file is what it was', async context => {
  const {host, volume, path, content, target} = await place(context, 'zfs')
  const make = async (filename: string, snapshot: string, since?: string) => {
    const input = {
      ...volume,
      target,
      filename,
      snapshot,
      job: filename.replaceAll(/[._]/g, '-'),
      format: 'send' as const,
    }
    const made = await finished(() => host.call('backup.make', {...input, ...(since ? {since} : {})}))
    return {target, filename, sizeBytes: made.sizeBytes, checksum: made.checksum}
  }
  const full = await make('a.zfs.zst', 's1')
  await writeFile(join(path, 'folder', 'small'), 'new')
  await host.call('snapshot.create', {...volume, snapshot: 's2'})
  const difference = await make('b.zfs.zst', 's2', 's1')
  expect(difference.sizeBytes).toBeLessThan(full.sizeBytes / 10)

  const restoring = {
    ...volume,
    volume: 'copy',
    job: 'job-9',
    format: 'send' as const,
    quotaBytes: 64 * 2 ** 20,
    replace: false,
  }
  await finished(() => host.call('backup.restore', {...restoring, pieces: [full, difference]}))

  const copy = (await host.call('volumes.list', volume)).find(one => one.volume === 'copy')!
  expect(copy).toMatchObject({quotaBytes: null, mark: 'job-9'}) // the limit comes when all files are there
  expect((await readFile(join(copy.path, 'folder', 'big'))).equals(content)).toBe(true)
  expect(await readFile(join(copy.path, 'folder', 'small'), 'utf8')).toBe('new')
  expect(await readFile(join(copy.path, 'later'), 'utf8')).toBe('after the snapshot')
  expect(await host.call('snapshots.list', {...volume, volume: 'copy'})).toEqual([])
})

test.for(['zfs', 'fake'] as const)(
  'F18: what an agent of a %s pool had written when it died is taken as it is, and what it read it through goes with it',
  async (type, context) => {
    const {host, volume, folder, target} = await place(context, type)
    const file = {target, filename: 'data_1.tar.zst'}
    const source = {...volume, snapshot: 's1'}
    const making = {...source, ...file, job: 'job-1', format: 'tar' as const}
    const made = await finished(() => host.call('backup.make', making))
    const reader = {...source, to: 'backup-job-1', mark: 'job-1'}
    const next = openStorage({directory: await temporaryDirectory()})
    const volumes = async () => (await host.call('volumes.list', volume)).map(one => one.volume)
    if (type === 'zfs') {
      await host.call('snapshot.clone', reader)
      expect(await finished(() => next.call('backup.make', {...making, isAgain: true}))).toEqual(made)
      expect(await volumes()).toEqual(['data'])
    }
    const another = finished(() => host.call('backup.make', {...making, job: 'job-2'}))
    await expect(another).rejects.toMatchObject({code: 'exists'})

    await host.call('snapshot.clone', reader)
    await host.call('backup.delete', {...file, job: 'job-1', source})
    expect([await readdir(folder), await volumes()]).toEqual([[], ['data']])
  },
)

test('F18: half a stream that an agent left when it died is received anew, and never into what is somebody else’s', async context => {
  const {host, volume, content, target} = await place(context, 'zfs')
  const file = {target, filename: 'a.zfs.zst'}
  const made = await finished(() =>
    host.call('backup.make', {...volume, ...file, snapshot: 's1', job: 'job-1', format: 'send'}),
  )
  const pieces = [{...file, sizeBytes: made.sizeBytes, checksum: made.checksum}]
  const restoring = {...volume, volume: 'copy', format: 'send' as const, quotaBytes: null, replace: false, pieces}
  execFileSync('sh', ['-c', `zfs send ${volume.pool}/data@s1 | zfs receive ${volume.pool}/restore-job-9`])

  await finished(() => host.call('backup.restore', {...restoring, job: 'job-9'}))

  const volumes = () => host.call('volumes.list', volume)
  const copy = (await volumes()).find(one => one.volume === 'copy')!
  expect(await readFile(join(copy.path, 'folder', 'big'))).toEqual(content)
  const names = () => execFileSync('zfs', ['list', '-H', '-o', 'name', '-r', volume.pool], {encoding: 'utf8'})
  expect(names()).not.toContain('restore-')

  execFileSync('zfs', ['create', `${volume.pool}/theirs`])
  await writeFile(join('/', volume.pool, 'theirs', 'page'), 'theirs')
  const over = finished(() => host.call('backup.restore', {...restoring, volume: 'theirs', job: 'job-10'}))
  await expect(over).rejects.toMatchObject({code: 'exists'})
  await host.call('backup.end', {job: 'job-10', into: {...volume, volume: 'theirs'}})
  expect(names()).not.toContain('restore-')
  expect(await readFile(join('/', volume.pool, 'theirs', 'page'), 'utf8')).toBe('theirs')
})

test('a damaged file is found, and is not restored', async context => {
  const {host, volume, folder, target} = await place(context)
  const file = {target, filename: 'data_1.tar.zst'}
  const made = await finished(() =>
    host.call('backup.make', {...volume, ...file, snapshot: 's1', job: 'job-1', format: 'tar'}),
  )
  const bytes = await readFile(join(folder, file.filename))
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(join(folder, file.filename), bytes)
  const pieces = [{...file, sizeBytes: made.sizeBytes, checksum: made.checksum}]

  const verifying = finished(() => host.call('backup.verify', {job: 'job-2', pieces}))
  await expect(verifying).rejects.toMatchObject({code: 'failed', message: expect.stringContaining('damaged')})
  const restoring = {
    ...volume,
    volume: 'copy',
    job: 'job-3',
    format: 'tar' as const,
    replace: false,
    quotaBytes: null,
    pieces,
  }
  await expect(finished(() => host.call('backup.restore', restoring))).rejects.toMatchObject({code: 'failed'})
})

test('a full disk is said in words, and nothing half done stays', async context => {
  const {host, volume} = await place(context)
  const folder = await temporaryDirectory('gpuctl-small-')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder])
  try {
    const file = {target: {type: 'directory' as const, path: folder}, filename: 'data_1.tar.zst'}
    const making = {...volume, ...file, snapshot: 's1', job: 'job-1', format: 'tar' as const}
    await expect(finished(() => host.call('backup.make', making))).rejects.toMatchObject({code: 'full'})
    expect(await readdir(folder)).toEqual([])
    expect((await host.call('volumes.list', volume)).map(one => one.volume)).toEqual(['data'])
  } finally {
    execFileSync('umount', [folder])
  }
})

test('T17: no name leads out of the folder, and no link is followed', async context => {
  const {host, volume, folder, target} = await place(context)
  const making = {...volume, target, snapshot: 's1', job: 'job-1', format: 'tar' as const}
  const names = ['../x', '/etc/x', 'a/b', '..', '.x', 'a\0b', 'a%2e', 'x..y', '', 'ü', `${'a'.repeat(129)}`, '-x']
  for (const filename of names) {
    const call = finished(() => host.call('backup.make', {...making, filename}))
    await expect(call, filename).rejects.toMatchObject({code: 'invalid'})
    await expect(host.call('backup.delete', {target, filename, job: 'job-1'})).rejects.toMatchObject({code: 'invalid'})
  }
  for (const path of ['relative', '/a/../etc', '/a\nb', '/a;b', '']) {
    const find = host.call('backup.find', {target: {type: 'directory', path}, filename: 'x'})
    await expect(find, path).rejects.toMatchObject({code: 'invalid'})
  }
  await symlink('/etc/passwd', join(folder, 'x.tar.zst'))
  const piece = {target, filename: 'x.tar.zst', sizeBytes: 1, checksum: ''}
  const reading = finished(() => host.call('backup.verify', {job: 'job-2', pieces: [piece]}))
  await expect(reading).rejects.toMatchObject({code: 'invalid', message: expect.stringContaining('link')})
  expect(await readdir(folder)).toEqual(['x.tar.zst'])
})

function sha256(path: string): string {
  return execFileSync('sha256sum', [path], {encoding: 'utf8'}).slice(0, 64)
}
