import {execFileSync} from 'node:child_process'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {beforeAll, beforeEach, describe, expect, test} from 'vitest'
import type {StorageHost} from '../../src/storage/host.ts'
import {openStorage} from '../../src/storage/registry.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

// Runs in the machine of boot.sh: its kernel serves NFS and mounts it.

const served = '/srv/served'
const client = '127.0.0.0/8'
let host: StorageHost
let directory: string

beforeAll(() => {
  const state = '/var/lib/nfs'
  run('mount', '-t', 'tmpfs', 't', state)
  for (const folder of ['v4recovery', 'rpc_pipefs', 'nfsdcld']) mkdirSync(join(state, folder))
  for (const file of ['etab', 'rmtab', 'xtab']) writeFileSync(join(state, file), '')
  run('mkfs.ext4', '-q', '-F', '/dev/vda')
  mkdirSync(served, {recursive: true})
  run('mount', '/dev/vda', served)
  mkdirSync(join(served, 'data'))
  run('mount', '-t', 'nfsd', 'nfsd', '/proc/fs/nfsd')
  run('rpc.mountd')
  export_('rw,no_root_squash')
  serve(true)
})

beforeEach(async () => {
  directory = await temporaryDirectory()
  host = openStorage({directory, mountRoot: join(directory, 'mnt'), fstab: join(directory, 'fstab')})
  export_('rw,no_root_squash')
})

const mount = (rest = {}) =>
  host.call('mount.create', {name: 'm', server: '127.0.0.1', exportPath: '/data', readOnly: false, ...rest})
const unmount = () => host.call('mount.remove', {name: 'm'})
const mounted = () =>
  readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter(line => line.includes(directory))
const fstab = () => readFileSync(join(directory, 'fstab'), 'utf8')

describe('NFS', () => {
  test('an export is mounted once, written, kept over a restart, and unmounted without a trace', async () => {
    const found = await mount()
    writeFileSync(join(found.path, 'file'), 'over the wire')
    await mount()

    expect(found).toMatchObject({name: 'm', state: 'mounted', server: '127.0.0.1', exportPath: '/data'})
    expect(readFileSync(join(served, 'data', 'file'), 'utf8')).toBe('over the wire')
    expect(mounted()).toHaveLength(1)
    expect(fstab()).toMatch(/^127\.0\.0\.1:\/data \S+\/m nfs4 vers=4,hard\S+x-gpuctl\.mount=m 0 0\n$/)
    await unmount()
    expect(mounted()).toEqual([])
    expect(fstab()).not.toContain('nfs4')
    expect(await host.call('mounts.list', {})).toEqual([])
  })

  test.each([
    ['ro,no_root_squash', /lets nobody write/],
    ['rw,root_squash', /takes root for nobody/],
  ])('what is exported %s fails the write test, is said in words, and is unmounted again', async (options, words) => {
    export_(options)

    await expect(mount()).rejects.toMatchObject({code: 'failed', message: expect.stringMatching(words)})
    expect(mounted()).toEqual([])
    expect(await host.call('mounts.list', {})).toEqual([])
    await expect(mount({readOnly: true})).resolves.toMatchObject({state: 'mounted', readOnly: true})
    await unmount()
  })

  test('F18: a server that is gone leaves a dead mount, which hangs nobody and can be taken away', async () => {
    await mount()
    serve(false)
    try {
      const since = performance.now()
      const [dead, pools] = await Promise.all([host.call('mounts.list', {}), host.call('pools.list', {})])

      expect(dead).toMatchObject([{name: 'm', state: 'dead', detail: expect.stringContaining('not answered')}])
      expect(pools).toEqual([])
      await unmount()
      expect(mounted()).toEqual([])
      expect(performance.now() - since).toBeLessThan(60_000)
    } finally {
      serve(true)
    }
    await expect(mount()).resolves.toMatchObject({state: 'mounted'})
    await unmount()
  })

  test('T16: a pool is exported to its network in the table of the kernel’s server, and to nobody after that', async () => {
    const {path} = await host.call('pool.create', {pool: 'tank', type: 'directory', force: false, mark: 't1'})
    const share = {network: '192.168.3.77/24', readWrite: true, rootSquash: true}
    const input = {pool: 'tank', type: 'directory' as const}

    expect(await host.call('pool.share', {...input, share})).toMatchObject({
      network: '192.168.3.0/24',
      exportPath: path,
    })
    expect(run('exportfs', '-v').replace(/\s+/g, ' ')).toContain(`${path} 192.168.3.0/24(`)
    await host.call('pool.unshare', input)
    expect(run('exportfs', '-v')).not.toContain(path)
    await expect(host.call('pool.share', {...input, share: {...share, network: '10.0.0.0/8'}})).rejects.toMatchObject({
      code: 'invalid',
    })
  })
})

function export_(options: string): void {
  run('exportfs', '-ua')
  run('exportfs', '-o', `${options},no_subtree_check,insecure,fsid=0`, `${client}:${served}`)
}

function serve(isOn: boolean): void {
  run('rpc.nfsd', ...(isOn ? ['--no-udp', '-N', '3', '-V', '4.2', '--host', '127.0.0.1', '4'] : ['0']))
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {encoding: 'utf8', timeout: 60_000})
}
