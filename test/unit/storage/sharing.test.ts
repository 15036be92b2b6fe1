import {join} from 'node:path'
import {expect, test} from 'vitest'
import {type Exec, exec} from '../../../src/platform/exec.ts'
import {openStorage} from '../../../src/storage/registry.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

// With the kernel's own server: test/vm. Here its programs are stood in for, and everything else is real.

const tank = {pool: 'tank', type: 'directory' as const}
const share = {network: '203.0.113.0/24', readWrite: true, rootSquash: true}

/** A host whose exports are what `exportfs` was told, and whose NFS server is what `answer` says. */
async function host(answer: (program: string, words: string[]) => {stderr: string; code: number} | undefined) {
  const ran: string[] = []
  const table = new Map<string, string>()
  const run: Exec = async (file, args, options) => {
    const words = [file, ...args]
    if (words[0] === 'flock') words.splice(0, 5)
    const [program = ''] = words[0] === 'timeout' ? words.slice(4) : words
    if (!['exportfs', 'rpcinfo', 'unshare', 'rm', 'mount', 'umount'].includes(program)) return exec(file, args, options)
    const refused = answer(program, words)
    if (program !== 'exportfs' || words[1] !== '-s') ran.push(words.join(' '))
    if (refused) return {stdout: '', ...refused}
    if (program === 'exportfs') change(words.slice(1))
    const listed = [...table].map(([client, rest]) => `${client.split(':')[1]}  ${client.split(':')[0]}(${rest})\n`)
    return {stdout: listed.join(''), stderr: '', code: 0}
  }
  function change([flag, first = '', second = '']: string[]): void {
    if (flag === '-o') table.set(second, first)
    if (flag === '-u') table.delete(first)
  }
  const directory = await temporaryDirectory()
  const storage = openStorage({
    directory,
    mountRoot: join(directory, 'mnt'),
    fstab: join(directory, 'fstab'),
    exports: join(directory, 'exports.d/gpuctl.exports'),
    run,
  })
  const {path} = await storage.call('pool.create', {...tank, force: false, mark: 'task-1'})
  const shared = async () => (await storage.call('pools.list', {})).find(({pool}) => pool === 'tank')?.share
  return {storage, path, ran, shared}
}

test('an export is looked at as a client does: the server is called, and mounted where this host is in the network', async () => {
  const {storage, path, ran, shared} = await host(() => undefined)
  await storage.call('pool.share', {...tank, share})
  expect(ran.at(-1)).toBe('timeout -k 1 10 rpcinfo -T tcp -a 127.0.0.1.8.1 100003 4')

  await storage.call('pool.share', {...tank, share: {...share, network: '127.0.0.0/24'}})
  const options = 'vers=4,ro,soft,timeo=50,retrans=1,retry=0'
  expect(ran.at(-1)).toBe(`timeout -k 1 20 unshare -m mount -n -t nfs4 -o ${options} 127.0.0.1:${path} ${path}`)
  expect(await shared()).toMatchObject({exportPath: path})
})

test.each([
  [
    'rpcinfo',
    'rpcinfo: RPC: Unable to receive',
    'unavailable',
    /No NFS server answers on this node.*Unable to receive/,
  ],
  [
    'unshare',
    'mount.nfs4: access denied by server',
    'failed',
    /was exported to .*, and .* cannot mount it: .*access denied/,
  ],
])('what %s refuses is said in words, and nothing stays exported', async (program, stderr, code, message) => {
  const {storage, shared} = await host(one => (one === program ? {stderr, code: 1} : undefined))
  const wish = {...share, network: '127.0.0.0/24'}
  await expect(storage.call('pool.share', {...tank, share: wish})).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  })
  expect(await shared()).toBeNull()
})

test('a share that is seen by nobody leaves the one that was', async () => {
  let isServing = true
  const {storage, path, shared} = await host(one =>
    one === 'rpcinfo' && !isServing ? {stderr: 'no', code: 1} : undefined,
  )
  await storage.call('pool.share', {...tank, share})
  isServing = false
  const next = {network: '198.51.100.0/24', readWrite: false, rootSquash: false}
  await expect(storage.call('pool.share', {...tank, share: next})).rejects.toMatchObject({code: 'unavailable'})
  expect(await shared()).toEqual({...share, exportPath: path})
})

test('a share that cannot be taken back says so, with what stays and what to do', async () => {
  let isBroken = false
  const {storage, path, shared} = await host((program, words) => {
    if (program === 'rpcinfo') isBroken = true
    const isBack = program === 'exportfs' && ['-u', '-o'].includes(words[1] ?? '')
    if (isBroken && isBack) return {stderr: 'exportfs: the table is locked', code: 1}
    return program === 'rpcinfo' ? {stderr: 'no answer', code: 1} : undefined
  })

  const refused = storage.call('pool.share', {...tank, share})

  const words = `No NFS server answers .*no answer\\. Taking it back failed too: exportfs -u refused \\(1\\): .*the table is locked\\. ${path} may still be exported to 203.0.113.0/24\\. Look at it with exportfs -v, then share pool tank once more or end its export\\.`
  await expect(refused).rejects.toMatchObject({code: 'unavailable', message: expect.stringMatching(words)})
  expect(await shared()).toMatchObject({network: '203.0.113.0/24'})
})

test('a pool that cannot be destroyed is shared as before; where that fails too, the error says that it is not', async () => {
  for (const stuck of [false, true]) {
    const {storage, path, shared} = await host((program, words) => {
      const isAgain = program === 'exportfs' && words[1] === '-o' && isEnding
      if (program === 'rm') return {stderr: 'rm: the pool is busy', code: 1}
      return isAgain && stuck ? {stderr: 'exportfs: the table is locked', code: 1} : undefined
    })
    let isEnding = false
    await storage.call('pool.share', {...tank, share})
    isEnding = true

    const refused = storage.call('pool.destroy', {...tank, wipe: true})

    await expect(refused).rejects.toMatchObject({code: 'in_use'})
    const lost = `${path} is not exported to 203.0.113.0/24 any more. Share pool tank again.`
    if (stuck) await expect(refused).rejects.toThrow(lost)
    expect(await shared()).toEqual(stuck ? null : {...share, exportPath: path})
  }
})

test('a mount that fails and cannot be taken back says where it may still be', async () => {
  const {storage} = await host(program => {
    if (program === 'mount') return {stderr: 'mount.nfs4: Connection refused', code: 32}
    return program === 'umount' ? {stderr: 'umount: the table is locked', code: 32} : undefined
  })
  const wish = {name: 'data', server: '192.0.2.1', exportPath: '/tank', readOnly: false}

  await expect(storage.call('mount.create', wish)).rejects.toThrow(
    /Connection refused\. Taking it back failed too: .*the table is locked\. (\S+)\/data may still be mounted, and stand in .*\. End that with umount -fl \1\/data\.$/,
  )
})

test('where the kernel serves NFS and cannot mount it, the answer of the server is enough', async () => {
  const stderr = "mount: unknown filesystem type 'nfs4'"
  const {storage, path} = await host(one => (one === 'unshare' ? {stderr, code: 32} : undefined))
  const wish = {...share, network: '127.0.0.0/24'}
  expect(await storage.call('pool.share', {...tank, share: wish})).toEqual({...wish, exportPath: path})
})

test('without a program of the NFS server the share says which one is missing', async () => {
  const {storage} = await host(one => (one === 'rpcinfo' ? {stderr: '', code: 127} : undefined))
  await expect(storage.call('pool.share', {...tank, share})).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('rpcinfo is not installed'),
  })
})
