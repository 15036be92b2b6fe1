import {execFileSync, spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {mkdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {beforeEach, describe, expect, onTestFinished, type TestContext, test} from 'vitest'
import type {PoolType, StorageMethod} from '../../src/contract/storage-protocol.ts'
import {type ExecResult, exec} from '../../src/platform/exec.ts'
import type {StorageHost} from '../../src/storage/host.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {looseDisk, zfs} from '../support/zfs.ts'
import {runs} from '../support/zfs-daemon.ts'

interface Workplace {
  host: StorageHost
  type: PoolType
  pool: string
  device?: string
  /** What a volume gets where it must have a size from its beginning. */
  sizeBytes?: number
}

const mark = 'task-1'
const workplaces: Record<string, (context: TestContext) => Promise<Workplace>> = {
  zfs: async context => {
    need(context, 'root', 'zfs')
    await zfs()
    return {host: openStorage({directory: await temporaryDirectory()}), type: 'zfs', ...(await looseDisk())}
  },
  btrfs: async context => {
    need(context, 'root', 'btrfs')
    const directory = await temporaryDirectory()
    const disk = await looseDisk()
    onTestFinished(() => void spawnSync('umount', ['-l', join(directory, 'srv', disk.pool)]))
    return {host: openStorage({directory, poolRoot: join(directory, 'srv')}), type: 'btrfs', ...disk}
  },
  // Only in the machine of test/vm: this kernel may have no device-mapper.
  ...(process.env.GPUCTL_IN_VM ? {lvm: () => lvm('lvm'), 'lvm-thin': () => lvm('lvm-thin')} : {}),
  fake: async () => ({host: openStorage({directory: await temporaryDirectory()}), type: 'fake', pool: 'tank'}),
  directory: async () => ({
    host: openStorage({directory: await temporaryDirectory()}),
    type: 'directory',
    pool: 'tank',
  }),
}

async function lvm(type: 'lvm' | 'lvm-thin'): Promise<Workplace> {
  const directory = await temporaryDirectory()
  const poolRoot = join(directory, 'srv')
  const {device, pool: name} = await looseDisk()
  // A dash, which device-mapper doubles.
  const pool = `${name}-1`
  onTestFinished(() => {
    for (const words of [`umount -R ${join(poolRoot, pool)}`, `vgchange -an ${pool}`]) spawnSync('sh', ['-c', words])
  })
  return {host: openStorage({directory, poolRoot}), type, pool, device, sizeBytes: 32 * 2 ** 20}
}

describe.each(Object.entries(workplaces))('storage driver %s', (_, open) => {
  let place: Workplace
  beforeEach(async context => {
    place = await open(context)
  })
  const create = (rest = {}) => place.host.call('pool.create', {...place, force: false, mark, ...rest})
  const size = () => place.sizeBytes ?? null
  const volume = (rest = {}) => ({pool: place.pool, type: place.type, volume: 'data', ...rest})

  test('a pool is made once: its own task finds it again, another is refused', async () => {
    const made = await create()

    expect(made).toMatchObject({pool: place.pool, type: place.type, state: 'online', mark, share: null})
    expect(made.sizeBytes).toBeGreaterThan(2 ** 20)
    expect(made.devices).toEqual(place.device ? [place.device] : [])
    expect(await create()).toMatchObject({mark})
    await expect(create({mark: 'task-2'})).rejects.toMatchObject({code: 'exists'})
    expect((await place.host.call('pools.list', {})).filter(({pool}) => pool === place.pool)).toHaveLength(1)
  })

  test('destroying a pool takes it away, and again is no failure', async () => {
    await create()
    const input = {pool: place.pool, type: place.type, wipe: true}

    await place.host.call('pool.destroy', input)
    await place.host.call('pool.destroy', input)

    expect((await place.host.call('pools.list', {})).map(({pool}) => pool)).not.toContain(place.pool)
    await expect(create({mark: 'task-2'})).resolves.toMatchObject({mark: 'task-2'})
  })

  test('volumes are made, measured, marked and deleted', async () => {
    await create()
    const made = await place.host.call('volume.create', {...volume(), quotaBytes: size(), mark})
    await writeFile(join(made.path, 'file'), Buffer.alloc(3 * 2 ** 20, 1))
    execFileSync('sync')

    expect(made).toMatchObject({volume: 'data', mark, quotaBytes: size()})
    const [found] = await place.host.call('volumes.list', volume())
    expect(found?.usedBytes).toBeGreaterThan(0)
    await expect(
      place.host.call('volume.create', {...volume(), quotaBytes: size(), mark: 'task-2'}),
    ).rejects.toMatchObject({code: 'exists'})

    await place.host.call('volume.delete', volume())
    await place.host.call('volume.delete', volume())
    expect(await place.host.call('volumes.list', volume())).toEqual([])
  })

  test('a quota stops who writes beyond it, where the driver says that it has quotas', async () => {
    const {facts} = await create()
    const made = await place.host.call('volume.create', {
      ...volume(),
      quotaBytes: facts.quota ? 8 * 2 ** 20 : null,
      mark,
    })
    const write = () =>
      execFileSync('dd', ['if=/dev/urandom', `of=${join(made.path, 'big')}`, 'bs=1M', 'count=16', 'conv=fsync'], {
        stdio: 'pipe',
      })

    if (!facts.quota) {
      await expect(place.host.call('volume.quota', {...volume(), quotaBytes: 2 ** 24})).rejects.toMatchObject({
        code: 'unsupported',
      })
      return
    }
    expect(made.quotaBytes).toBe(8 * 2 ** 20)
    expect(write).toThrow(/quota exceeded|no space/i)
    expect(await place.host.call('volume.quota', {...volume(), quotaBytes: 64 * 2 ** 20})).toMatchObject({
      quotaBytes: 64 * 2 ** 20,
    })
    expect(write).not.toThrow()
  })

  test('snapshots keep what was, come back, and become volumes of their own, where the driver has them', async () => {
    const {facts} = await create()
    const made = await place.host.call('volume.create', {...volume(), quotaBytes: size(), mark})
    const snapshot = {...volume(), snapshot: 'before'}
    if (!facts.snapshots) {
      await expect(place.host.call('snapshot.create', snapshot)).rejects.toMatchObject({code: 'unsupported'})
      return
    }
    const file = join(made.path, 'file')
    writeFileSync(file, 'old')
    await place.host.call('snapshot.create', snapshot)
    await place.host.call('snapshot.create', snapshot)
    writeFileSync(file, 'new')

    if (facts.clones) {
      const copy = await place.host.call('snapshot.clone', {...snapshot, to: 'copy', mark})
      expect(read(join(copy.path, 'file'))).toBe('old')
      await place.host.call('volume.delete', volume({volume: 'copy'}))
    }
    await place.host.call('snapshot.rollback', snapshot)
    expect(read(file)).toBe('old')
    expect((await place.host.call('snapshots.list', volume())).map(one => one.snapshot)).toEqual(['before'])
    await place.host.call('snapshot.delete', snapshot)
    await place.host.call('snapshot.delete', snapshot)
    expect(await place.host.call('snapshots.list', volume())).toEqual([])
    // Who stops waiting leaves the node making it, and has to see that.
    const late = place.host.call('snapshot.create', {...volume(), snapshot: 'late'})
    const settled = await place.host.call('snapshots.list', {...volume(), settled: true})
    expect(settled.map(one => one.snapshot)).toEqual(['late'])
    await late
  })

  test('what was cut off in the middle is done whole when it is asked for again', async () => {
    const {facts} = await create()
    const made = await place.host.call('volume.create', {...volume(), quotaBytes: size(), mark})
    writeFileSync(join(made.path, 'file'), 'kept')
    const again = volume({volume: 'again'})
    const stop = new AbortController()
    const cut = place.host.call('volume.create', {...again, quotaBytes: size(), mark}, stop.signal)
    stop.abort()

    await expect(cut).rejects.toMatchObject({name: 'StorageError'})
    const [whole, other] = await Promise.all([
      place.host.call('volume.create', {...again, quotaBytes: size(), mark}),
      place.host.call('volume.create', {...again, quotaBytes: size(), mark: 'task-2'}).catch(error => error.code),
    ])
    expect(whole).toMatchObject({volume: 'again', mark})
    expect(other).toBe('exists')
    if (facts.snapshots) await place.host.call('snapshot.create', {...volume(), snapshot: 's'})
    await place.host.call('volume.delete', again)
    expect((await place.host.call('volumes.list', volume())).map(one => one.volume)).toEqual(['data'])
  })

  test('M24: taking back a creation leaves a pool that somebody else made', async () => {
    await create()
    await place.host.call('pool.destroy', {pool: place.pool, type: place.type, wipe: true, mark: 'task-2'})
    expect((await place.host.call('pools.list', {})).map(({pool}) => pool)).toContain(place.pool)
    await place.host.call('pool.destroy', {pool: place.pool, type: place.type, wipe: true, mark})
    expect((await place.host.call('pools.list', {})).map(({pool}) => pool)).not.toContain(place.pool)
  })

  test('a dry run shows the very commands, and does nothing', async () => {
    const input = {...place, host: undefined, force: false, mark}
    const lines = await place.host.call('plan', {method: 'pool.create', input})

    expect(lines.length).toBeGreaterThan(0)
    expect(lines.join('\n')).toContain(place.pool)
    expect((await place.host.call('pools.list', {})).map(({pool}) => pool)).not.toContain(place.pool)
  })
})

test('a btrfs pool whose host restarted is mounted again, and a foreign one is left alone', async context => {
  need(context, 'root', 'btrfs')
  const {host, type, pool, device} = await workplaces.btrfs!(context)
  const {path} = await host.call('pool.create', {pool, type, device, force: false, mark})
  execFileSync('umount', [path])
  const stranger = openStorage({directory: await temporaryDirectory(), poolRoot: await temporaryDirectory()})

  await stranger.restore()
  expect(await found(host, pool)).toMatchObject({path: ''})
  const what = `btrfs pool ${pool} is not open`
  expect(await host.misplaced()).toContainEqual({what, canRestore: true})
  await host.restore()
  expect(await found(host, pool)).toMatchObject({path, state: 'online'})
  expect(await host.misplaced()).not.toContainEqual({what, canRestore: true})
})

test('M24: a ZFS pool whose destroying was cut off before its label was wiped leaves nothing; a volume that was cut off is mounted', async context => {
  need(context, 'root', 'zfs')
  const {host, type, pool, device = ''} = await workplaces.zfs!(context)
  await host.call('pool.create', {pool, type, device, force: false, mark})
  const volume = {pool, type, volume: 'data', quotaBytes: null, mark}
  const {path} = await host.call('volume.create', volume)
  execFileSync('zfs', ['unmount', `${pool}/data`])
  expect(await host.call('volume.create', volume)).toMatchObject({path})

  await eventually(() => runs('zpool', 'destroy', '-f', pool), {withinMs: 15_000, what: 'the end of the pool'})
  const carried = async () => (await host.call('devices.list', {})).find(one => one.path === device)?.carries
  expect(await carried()).toEqual([`zfs_member "${pool}"`])
  await host.call('pool.destroy', {pool: 'another', type, wipe: true, device})
  expect(await carried()).toEqual([`zfs_member "${pool}"`])
  await host.call('pool.destroy', {pool, type, wipe: true, device})
  expect(await carried()).toEqual([])
})

test('a pool that goes while all are listed is left out, and fails nobody', async context => {
  need(context, 'root', 'zfs')
  await zfs()
  let fired = 0
  const run: typeof exec = async (file, args, options) => {
    const result = await exec(file, args, options)
    if (`${file} ${args.join(' ')}` !== 'zpool list -H -o name,health') return result
    fired++
    return {...result, stdout: `${result.stdout}wasthere\tONLINE\n`}
  }
  const host = openStorage({directory: await temporaryDirectory(), run})

  expect((await host.call('pools.list', {})).map(({pool}) => pool)).not.toContain('wasthere')
  expect(fired).toBe(1)
})

test('the next agent waits for what one that was killed has left running', async () => {
  const directory = await temporaryDirectory()
  const host = openStorage({directory})
  const lock = join(directory, 'locks', 'pool-tank')
  await mkdir(join(directory, 'locks'))
  const left = spawn('flock', [lock, 'sh', '-c', 'echo held; read x'], {stdio: ['pipe', 'pipe', 'inherit']})
  await once(left.stdout, 'data')
  let isMade = false
  const making = host.call('pool.create', {pool: 'tank', type: 'directory', force: false, mark}).then(() => {
    isMade = true
  })

  await host.call('pool.create', {pool: 'other', type: 'directory', force: false, mark})
  expect(isMade).toBe(false)
  left.stdin.end('go on\n')
  await making
  expect(isMade).toBe(true)
})

async function found(host: StorageHost, name: string) {
  return (await host.call('pools.list', {})).find(({pool}) => pool === name)
}

describe('devices', () => {
  test('R8: a device that carries data is shown with it, and taken by force alone; one that is in use never', async context => {
    need(context, 'root', 'zfs')
    await zfs()
    const host = openStorage({directory: await temporaryDirectory()})
    const {device, pool} = await looseDisk()
    execFileSync('mkfs.ext4', ['-q', '-L', 'photos', device])
    const input = {pool, type: 'zfs' as const, device, mark}
    const listed = async () => (await host.call('devices.list', {})).find(({path}) => path === device)

    expect((await listed())?.carries).toEqual([expect.stringContaining('ext4 "photos"')])
    await expect(host.call('pool.create', {...input, force: false})).rejects.toMatchObject({
      code: 'in_use',
      message: expect.stringContaining('photos'),
    })

    const folder = join(await temporaryDirectory(), 'mnt')
    await mkdir(folder)
    execFileSync('mount', [device, folder])
    try {
      expect(await listed()).toMatchObject({busy: true})
      await expect(host.call('pool.create', {...input, force: true})).rejects.toMatchObject({code: 'in_use'})
    } finally {
      execFileSync('umount', [folder])
    }
    await expect(host.call('pool.create', {...input, force: true})).resolves.toMatchObject({state: 'online'})
  })

  test.each(['/dev/../etc/passwd', '/etc/passwd', '/dev/null', '/dev/nosuch', '-f', '/dev/sd a'])(
    'T15: %s is no device that anything is made on',
    async device => {
      const {host} = await workplaces.directory!(undefined as never)
      const input = {pool: 'tank', type: 'zfs' as const, device, force: true, mark}
      await expect(host.call('pool.create', input)).rejects.toMatchObject({name: 'StorageError'})
    },
  )
})

describe('T15: what is typed reaches a program as one word, or not at all', () => {
  const hostile = [
    ...[
      'tank;id',
      '$(id)',
      '`id`',
      '-f',
      '--help',
      '-o=x',
      'a b',
      "a'b",
      'a"b',
      'a\nb',
      'a\0b',
      '../x',
      'x/../y',
      '',
      '.',
      '..',
    ],
    ...[
      'mirror',
      'raidz2',
      'draid',
      'spare',
      'log',
      'cache',
      'special',
      'dedup',
      'c0t0d0',
      '1tank',
      '@x',
      'a@b',
      'a#b',
      'ü',
    ],
    ...['|', '&', '>', '<', '*', '?', '~', '!', '%', '^', '{a,b}', '[a]', '\\', 'a\\', '\u202e', 'a'.repeat(300)],
  ]
  const fields: readonly (readonly [StorageMethod, (text: string) => object])[] = [
    ['pool.create', text => ({pool: text, type: 'zfs', device: '/dev/sdz', force: true, mark})],
    ['pool.destroy', text => ({pool: text, type: 'zfs', wipe: true})],
    ['pool.create', text => ({pool: text, type: 'btrfs', device: '/dev/sdz', force: true, mark})],
    ['pool.create', text => ({pool: 'tank', type: 'fake', force: false, mark: text})],
    ['volume.create', text => ({pool: 'tank', type: 'btrfs', volume: text, quotaBytes: 2 ** 30, mark})],
    ['volume.create', text => ({pool: 'tank', type: 'zfs', volume: text, quotaBytes: null, mark})],
    ['volume.create', text => ({pool: 'tank', type: 'directory', volume: text, quotaBytes: null, mark})],
    ['volume.delete', text => ({pool: 'tank', type: 'zfs', volume: text})],
    ['snapshot.create', text => ({pool: 'tank', type: 'zfs', volume: 'a', snapshot: text})],
    ['snapshot.clone', text => ({pool: 'tank', type: 'zfs', volume: 'a', snapshot: 's', to: text, mark})],
    ['mount.create', text => ({name: text, server: '192.0.2.1', exportPath: '/tank', readOnly: false})],
    ['mount.create', text => ({name: 'm', server: text, exportPath: '/tank', readOnly: false})],
    ['mount.create', text => ({name: 'm', server: '192.0.2.1', exportPath: `/${text}`, readOnly: false})],
    ['pool.share', text => ({pool: 'tank', type: 'zfs', share: {network: text, readWrite: true, rootSquash: true}})],
  ]

  test.each(fields)('%s', async (method, input) => {
    const ran: string[][] = []
    const shim = async (file: string, args: readonly string[]): Promise<ExecResult> => {
      ran.push([file, ...args])
      return {stdout: '', stderr: '', code: 0}
    }
    const directory = await temporaryDirectory()
    const host = openStorage({directory, mountRoot: join(directory, 'mnt'), fstab: join(directory, 'fstab'), run: shim})
    const canary = join(directory, 'canary')
    const strings = [...hostile, `x;touch ${canary}`, `$(touch ${canary})`]

    for (const text of strings) await host.call(method, input(text) as never).catch(() => {})
    const changed = ran.flat().filter(word => strings.includes(word) && word !== '' && !/^[A-Za-z][\w.-]*$/.test(word))

    expect(changed).toEqual([])
    expect(ran.flat().filter(word => /[;`$|&<>\n\0'"]/.test(word))).toEqual([])
  })

  test('the shim sees what is harmless', async () => {
    const ran: string[] = []
    const run = async (file: string, args: readonly string[]) => {
      ran.push([file, ...args].join(' '))
      return {stdout: '', stderr: '', code: 0}
    }
    const host = openStorage({directory: await temporaryDirectory(), run})
    await host.call('snapshot.delete', {pool: 'tank', type: 'zfs', volume: 'data', snapshot: 's1'})
    expect(ran.at(-1)).toMatch(/zfs destroy tank\/data@s1$/)
  })
})

function read(path: string): string {
  return execFileSync('cat', [path], {encoding: 'utf8'})
}

test('a program that is missing is said to be missing', async () => {
  const host = openStorage({
    directory: await temporaryDirectory(),
    run: (_, __, options) => exec('zfs', [], {...options, env: {PATH: '/nowhere'}}),
  })
  await expect(host.call('volume.delete', {pool: 'tank', type: 'zfs', volume: 'a'})).rejects.toMatchObject({
    code: 'unavailable',
  })
})
