import {spawnSync} from 'node:child_process'
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {beforeAll, beforeEach, describe, expect, onTestFinished, test} from 'vitest'
import type {PoolType} from '../../src/contract/storage-protocol.ts'
import {type Exec, exec} from '../../src/platform/exec.ts'
import type {StorageHost} from '../../src/storage/host.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {looseDisk} from '../support/zfs.ts'
import {link, network, type nodes, on, run, serve, server, startNodes} from './guest/nodes.ts'

// Runs in the machine of boot.sh: its kernel serves NFS, and mounts it from network namespaces that are other nodes.

const share = {network, readWrite: true, rootSquash: false}
const mark = 'task-1'
/** Of a pool on the server, in the table of the machine's kernel. */
const tank = {pool: 'tank', type: 'directory' as const}

let directory: string
let exports: string
let fstab: string
let home: StorageHost
let client: StorageHost

beforeAll(startNodes)

beforeEach(async () => {
  directory = await temporaryDirectory()
  exports = join(directory, 'exports.d/gpuctl.exports')
  fstab = join(directory, 'fstab')
  onTestFinished(() => {
    for (const {path} of mounted()) spawnSync('umount', ['-fl', path])
    run('exportfs', '-ua')
  })
  home = openStorage({directory, poolRoot: join(directory, 'srv'), exports})
  client = clientIn('inside')
})

function clientIn(node: keyof typeof nodes): StorageHost {
  const [enter, ...rest] = on(node)
  const inside: Exec = (file, args, options) => exec(enter, [...rest, file, ...args], options)
  return openStorage({directory: join(directory, node), mountRoot: join(directory, 'mnt'), fstab, run: inside})
}

/** A pool of the server, exported. */
async function sharedPool(rest = {}): Promise<string> {
  await home.call('pool.create', {...tank, force: false, mark})
  return (await home.call('pool.share', {...tank, share: {...share, ...rest}})).exportPath
}
const creation = (exportPath: string, rest = {}) => ({name: 'm', server, exportPath, readOnly: false, ...rest})
const state = async () => (await client.call('mounts.list', {})).map(({state}) => state)

describe('NFS mounts', () => {
  test('an export is mounted once, write-tested, and unmounted without a trace', async () => {
    const exportPath = await sharedPool()
    const found = await client.call('mount.create', creation(exportPath))
    writeFileSync(join(found.path, 'file'), 'over the wire')
    const again = await client.call('mount.create', creation(exportPath))

    expect(found).toMatchObject({name: 'm', state: 'mounted', server, exportPath, readOnly: false})
    expect(again).toEqual(found)
    expect(mounted()).toHaveLength(1)
    expect(readFileSync(join(exportPath, 'file'), 'utf8')).toBe('over the wire')
    expect(readdirSync(exportPath).filter(name => name.includes('write-test'))).toEqual([])
    for (const other of [{exportPath: `${exportPath}/other`}, {readOnly: true}]) {
      await expect(client.call('mount.create', creation(exportPath, other))).rejects.toMatchObject({code: 'in_use'})
    }
    expect(await state()).toEqual(['mounted'])

    await client.call('mount.remove', {name: 'm'})
    await client.call('mount.remove', {name: 'm'})
    expect(mounted()).toEqual([])
    expect(readFileSync(fstab, 'utf8')).toBe('')
    expect(existsSync(found.path)).toBe(false)
    expect(await client.call('mounts.list', {})).toEqual([])
  })

  test('it survives a restart of the host by a line of fstab, which is marked as ours, beside the lines of others', async () => {
    writeFileSync(fstab, '# theirs\nUUID=1 / ext4 defaults 0 1\n')
    const exportPath = await sharedPool()
    const {path} = await client.call('mount.create', creation(exportPath))
    expect(readFileSync(fstab, 'utf8')).toMatch(
      /^# theirs\nUUID=1 .*\n10\.77\.0\.1:\S+\/tank \S+\/m nfs4 vers=4,hard\S*,_netdev,nofail,rw,x-gpuctl\.mount=m 0 0\n$/,
    )

    run('umount', path)
    expect(await state()).toEqual(['absent'])
    run('nsenter', '--net=/run/netns/inside', 'mount', '-a', '-T', fstab, '-t', 'nfs4')
    expect(await state()).toEqual(['mounted'])

    // Where the server was away while the host started, the agent mounts it.
    run('umount', path)
    expect(await client.restore()).toEqual([])
    expect(await state()).toEqual(['mounted'])
    await client.call('mount.remove', {name: 'm'})
    expect(readFileSync(fstab, 'utf8')).toBe('# theirs\nUUID=1 / ext4 defaults 0 1\n')
  })

  test('mounts that are made side by side all have their line', async () => {
    const exportPath = await sharedPool()
    const names = ['m1', 'm2', 'm3']
    for (const name of names) mkdirSync(join(exportPath, name))

    await Promise.all(names.map(name => client.call('mount.create', creation(`${exportPath}/${name}`, {name}))))

    expect((await client.call('mounts.list', {})).map(({name}) => name).sort()).toEqual(names)
    await Promise.all(names.map(name => client.call('mount.remove', {name})))
    expect(readFileSync(fstab, 'utf8')).toBe('')
  })

  test.each([
    ['for reading alone', {readWrite: false}, /lets nobody write/],
    ['with root squash', {rootSquash: true}, /takes root for nobody/],
  ])('what is exported %s fails the write test, is said in words, and is unmounted again', async (_, rest, words) => {
    const exportPath = await sharedPool(rest)

    await expect(client.call('mount.create', creation(exportPath))).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(words),
    })
    expect(mounted()).toEqual([])
    expect(await client.call('mounts.list', {})).toEqual([])
    const found = await client.call('mount.create', creation(exportPath, {readOnly: true}))
    expect(found).toMatchObject({state: 'mounted', readOnly: true})
    expect(() => writeFileSync(join(found.path, 'file'), 'x')).toThrow(/EROFS/)
  })

  test.each([
    ['that has stopped', () => serve(false), () => serve(true)],
    ['that has fallen silent', () => link('down'), () => link('up')],
  ])('F18: a server %s leaves a dead mount, which hangs nobody and can be taken away', async (how, fail, mend) => {
    const exportPath = await sharedPool()
    await client.call('mount.create', creation(exportPath))
    fail()
    onTestFinished(mend)

    expect(await Promise.all([client.call('mounts.list', {}), client.call('pools.list', {})])).toEqual([
      [expect.objectContaining({name: 'm', state: 'dead', detail: expect.stringContaining('not answered')})],
      [],
    ])
    // It was whole before: it is left as it is, for the server to come back.
    await expect(client.call('mount.create', creation(exportPath))).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('not answered'),
    })
    expect(mounted()).toHaveLength(1)
    await client.call('mount.remove', {name: 'm'})
    expect(mounted()).toEqual([])
    // Nor is a new one waited for, beyond the 40 s that are given it: once is enough.
    if (how !== 'that has fallen silent') return
    await expect(client.call('mount.create', creation(exportPath))).rejects.toMatchObject({code: 'failed'})
    expect(mounted()).toEqual([])
  })

  test('F18: a server that comes back finds its mount alive, and what is written goes on', async () => {
    const exportPath = await sharedPool()
    const {path} = await client.call('mount.create', creation(exportPath))
    serve(false)
    expect(await state()).toEqual(['dead'])
    serve(true)
    await eventually(async () => (await state())[0] === 'mounted', {withinMs: 60_000, what: 'the server to be back'})
    run('cp', '/proc/version', join(path, 'file'))
    expect(existsSync(join(exportPath, 'file'))).toBe(true)
  })
})

describe('NFS exports', () => {
  test('T16: a pool is exported to its network, to nobody beyond it, and to nobody after that', async () => {
    const exportPath = await sharedPool({network: '10.77.0.99/24', rootSquash: true, readWrite: false})
    const table = run('exportfs', '-s')
    expect(table).toMatch(/\/tank\s+10\.77\.0\.0\/24\((?=[^)]*\bro\b)(?=[^)]*,root_squash)[^)]*\)/)
    expect(table.trim().split('\n')).toHaveLength(1)
    const [found] = await home.call('pools.list', {})
    expect(found?.share).toEqual({exportPath, network, readWrite: false, rootSquash: true})

    const readOnly = creation(exportPath, {readOnly: true})
    await expect(clientIn('outside').call('mount.create', readOnly)).rejects.toMatchObject({code: 'failed'})
    await client.call('mount.create', readOnly)
    await client.call('mount.remove', {name: 'm'})

    await home.call('pool.unshare', tank)
    await home.call('pool.unshare', tank)
    expect(run('exportfs', '-s')).toBe('')
    await expect(client.call('mount.create', readOnly)).rejects.toMatchObject({name: 'StorageError'})
  })

  test('T16: nothing is exported to more than a /16, to names, or to everybody', async () => {
    await home.call('pool.create', {...tank, force: false, mark})
    const wide = ['0.0.0.0/0', '10.0.0.0/8', '10.77.0.0/33', '*', '10.77.0.*', '@all', 'node-b', '10.77.0.0/24(rw)']
    for (const network of wide) {
      await expect(home.call('pool.share', {...tank, share: {...share, network}})).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('is not a network of /16 or narrower'),
      })
    }
    expect(run('exportfs', '-s')).toBe('')
    expect(existsSync(exports)).toBe(false)
  })

  test('what the server shows nobody is not shared, and what was shared before stays', async () => {
    const exportPath = await sharedPool()
    serve(false)
    onTestFinished(() => serve(true))
    const next = {...tank, share: {...share, network: '10.78.0.0/24'}}

    await expect(home.call('pool.share', next)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/No NFS server answers on this node/),
    })
    expect(run('exportfs', '-s')).toMatch(/^\S+\/tank\s+10\.77\.0\.0\/24\(/)
    expect(readFileSync(exports, 'utf8')).toMatch(/^\S+\/tank 10\.77\.0\.0\/24\(/)
    expect((await home.call('pools.list', {}))[0]?.share).toEqual({...share, exportPath})
  })

  test('sharing again takes the place of what was, and a dry run shows it', async () => {
    const exportPath = await sharedPool()
    const next = {...tank, share: {network: '10.78.0.0/24', readWrite: false, rootSquash: true}}

    expect(await home.call('plan', {method: 'pool.share', input: next})).toEqual([
      `exportfs -u ${network}:${exportPath}`,
      `exportfs -o ro,root_squash,no_subtree_check,crossmnt 10.78.0.0/24:${exportPath}`,
    ])
    expect(await home.call('pool.share', next)).toEqual({exportPath, ...next.share})
    expect(await home.call('pool.share', {...next, share: {...next.share, readWrite: true}})).toMatchObject({
      readWrite: true,
    })
    expect(run('exportfs', '-s').trim().split('\n')).toHaveLength(1)
    expect(readFileSync(exports, 'utf8').trim().split('\n')).toHaveLength(1)
  })

  test('an export survives a restart of the server, and goes with its pool', async () => {
    const exportPath = await sharedPool()
    const kept = readFileSync(exports, 'utf8')
    expect(kept).toBe(`${exportPath} ${network}(rw,no_root_squash,no_subtree_check,crossmnt)\n`)

    // Both ways back: the server reads its own tables when it starts, and the agent when it does.
    run('exportfs', '-ua')
    mkdirSync('/etc/exports.d', {recursive: true})
    writeFileSync('/etc/exports.d/gpuctl.exports', kept)
    onTestFinished(() => writeFileSync('/etc/exports.d/gpuctl.exports', ''))
    run('exportfs', '-r')
    expect((await home.call('pools.list', {}))[0]?.share).toEqual({...share, exportPath})
    run('exportfs', '-ua')
    expect(await home.restore()).toEqual([])
    expect((await home.call('pools.list', {}))[0]?.share).toEqual({...share, exportPath})

    await home.call('pool.destroy', {...tank, wipe: false})
    expect(run('exportfs', '-s')).toBe('')
    expect(readFileSync(exports, 'utf8')).toBe('')
  })
})

describe('LVM', () => {
  test.each(['lvm', 'lvm-thin'] satisfies PoolType[])(
    'W2.3-7: a pool of %s is made, exported, mounted elsewhere with its volumes, and brought back after a restart',
    async type => {
      const {device, pool} = await looseDisk()
      const name = {pool, type}
      const place = join(directory, 'srv', pool)
      onTestFinished(() => {
        spawnSync('umount', ['-R', place])
        spawnSync('vgchange', ['-an', pool])
      })
      const {path} = await home.call('pool.create', {...name, device, force: false, mark})
      await home.call('volume.create', {...name, volume: 'data', quotaBytes: 2 ** 25, mark})
      await home.call('pool.share', {...name, share})
      const found = await client.call('mount.create', creation(path))
      writeFileSync(join(found.path, 'data/file'), 'in the volume')
      expect(readFileSync(join(place, 'data/file'), 'utf8')).toBe('in the volume')
      await expect(home.call('pool.create', {...name, pool: 'other', device, force: true, mark})).rejects.toMatchObject(
        {
          code: 'in_use',
        },
      )

      await client.call('mount.remove', {name: 'm'})
      run('exportfs', '-ua')
      run('umount', '-R', place)
      run('vgchange', '-an', pool)
      expect(await home.restore()).toEqual([])
      expect(readFileSync(join(place, 'data/file'), 'utf8')).toBe('in the volume')
      await client.call('mount.create', creation(path))
      expect(readFileSync(join(found.path, 'data/file'), 'utf8')).toBe('in the volume')

      await client.call('mount.remove', {name: 'm'})
      await home.call('pool.destroy', {...name, wipe: true})
      expect(await home.call('pools.list', {})).toEqual([])
      expect(run('exportfs', '-s')).toBe('')
    },
  )
})

/** What the kernel has mounted of NFS below the test's folder. */
function mounted(): {source: string; path: string}[] {
  const rows = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' '))
  return rows.flatMap(([source = '', path = '', type]) =>
    type === 'nfs4' && path.startsWith(directory) ? [{source, path}] : [],
  )
}
