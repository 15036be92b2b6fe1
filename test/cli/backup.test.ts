import {execFile} from 'node:child_process'
import {mkdir, readdir, readFile, stat, utimes, writeFile} from 'node:fs/promises'
import {hostname} from 'node:os'
import {dirname, join} from 'node:path'
import {promisify} from 'node:util'
import {gunzipSync} from 'node:zlib'
import {expect, test} from 'vitest'
import {unpackBackup} from '../../src/main/backup-archive.ts'
import {backupServer} from '../../src/main/server-backup.ts'
import {restoreServer, swapIn} from '../../src/main/server-restore.ts'
import {openStore} from '../../src/store/open.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator, program} from '../support/gpuctl.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

const canary = 'canary-docker-key-7Qx9vK2m'

/** A server with a user and a sealed secret, and somebody at its machine's terminal. */
async function place() {
  const plane = await controlPlane()
  const ada = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  await plane.user('ann')
  const tls = {ca: 'not a certificate', cert: 'not a certificate', key: canary}
  await plane.ok('nodes.add', {name: 'docker-1', docker: 'tcp://127.0.0.1:9', ...tls}, {token: plane.adminToken})
  const at = (path: string) => join(ada.home, path)
  await mkdir(ada.home, {recursive: true})
  await writeFile(at('passphrase'), 'correct horse battery\n', {mode: 0o600})
  return {plane, ...ada, at, data: dirname(plane.directory), passphrase: ['--passphrase-file', at('passphrase')]}
}

test('F24, T14: a backup of a running server is private, has its checksum, and holds neither keys nor open secrets', async () => {
  const {run, json, at, data, plane} = await place()

  const left = [plane.directory, dirname(at('a.tar.gz'))].map(folder => join(folder, '.gpuctl-backup-left'))
  for (const path of left) await mkdir(join(path, 'old'), {recursive: true})
  for (const path of left) await utimes(path, 0, 0)
  await mkdir(join(plane.directory, '.gpuctl-backup-of-another'))

  const made = await json<{sha256: string; keys: string[]}>(['server', 'backup', at('a.tar.gz'), '--data', data])

  const unfinished = async (folder: string) => (await readdir(folder)).filter(name => name.startsWith('.gpuctl-backup'))
  expect(await unfinished(plane.directory)).toEqual(['.gpuctl-backup-of-another'])
  const content = await readFile(at('a.tar.gz'))
  const {stdout} = await promisify(execFile)('sha256sum', [at('a.tar.gz')])
  expect(stdout.split(' ')[0]).toBe(made.sha256)
  expect(made.keys).toEqual([])
  expect((await stat(at('a.tar.gz'))).mode & 0o777).toBe(0o600)
  const plain = gunzipSync(content).toString('latin1')
  expect(plain).toContain('docker-1')
  expect(plain).not.toContain(canary)
  for (const name of ['vault-key', 'token-keys'])
    expect(plain).not.toContain((await readFile(join(plane.directory, name), 'utf8')).trim())
  expect(await unfinished(dirname(at('a.tar.gz')))).toEqual([])
  expect(await run(['server', 'backup', at('a.tar.gz'), '--data', data])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is there already'),
  })
  expect((await readFile(at('a.tar.gz'))).equals(content)).toBe(true)
  const rows = await json<{action: string; details: object}[]>(['audit', 'list', '--action', 'server.'])
  expect(rows).toMatchObject([{action: 'server.backup', details: {sha256: made.sha256, keys: false}}])
  expect(await run(['audit', 'verify'])).toMatchObject({code: 0})
})

test('F24: an encrypted backup with the keys brings a server back on another machine', {timeout: 60_000}, async () => {
  const {run, ok, at, data, passphrase, plane} = await place()
  await ok(['server', 'backup', at('b'), '--data', data, '--with-key', '--encrypt', ...passphrase])
  expect((await readFile(at('b'), 'latin1')).includes('docker-1')).toBe(false)
  const other = at('other')

  await writeFile(at('wrong'), 'another long passphrase', {mode: 0o600})
  const restore = ['server', 'restore', at('b'), '--data', other, '--confirm', hostname()]
  expect(await run([...restore, '--passphrase-file', at('wrong')])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the passphrase is another one, or the file was changed'),
  })
  expect(await run([...restore.slice(0, -2), ...passphrase])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`--confirm ${hostname()}`),
  })
  expect(await run([...restore, ...passphrase])).toMatchObject({code: 0})

  const again = await controlPlane({directory: join(other, 'server')})
  const password = 'Long-enough-ann'
  expect(await again.login('ann', password)).toMatch(/./)
  const [row] = await again.ok<object[]>('audit.list', {action: 'server.restore'}, {token: again.adminToken})
  expect(row).toMatchObject({details: {from: expect.any(String)}})
  expect(await again.ok('audit.verify', {}, {token: again.adminToken})).toMatchObject({fault: null, isDone: true})
  for (const name of ['vault-key', 'token-keys'])
    expect((await readFile(join(again.directory, name))).equals(await readFile(join(plane.directory, name)))).toBe(true)
})

test('T14: of an encrypted backup that was killed nothing in clear is left where it was to go', async context => {
  need(context, 'strace')
  const {at, data, plane, home} = await place()
  const [there, trace] = [at('stick'), at('trace')]
  await mkdir(there)
  const file = join(there, 'b')
  const inject = ['-f', '-o', trace, '-e', 'inject=rename,renameat2:error=EIO:signal=KILL']
  const backup = [
    'server',
    'backup',
    file,
    '--data',
    data,
    '--with-key',
    '--encrypt',
    '--passphrase-file',
    at('passphrase'),
  ]

  const killed = promisify(execFile)('strace', [...inject, process.execPath, program, ...backup], {
    env: {...process.env, HOME: home, NODE_DISABLE_COMPILE_CACHE: '1'},
  })
  await expect(killed).rejects.toMatchObject({signal: 'SIGKILL'})

  const left = await readdir(there, {recursive: true, withFileTypes: true})
  expect(left.length).toBeGreaterThan(1)
  const key = (await readFile(join(plane.directory, 'vault-key'), 'utf8')).trim()
  for (const one of left.filter(entry => entry.isFile())) {
    const content = await readFile(join(one.parentPath, one.name), 'latin1')
    for (const clear of ['SQLite format', key]) expect(content.includes(clear), one.name).toBe(false)
  }
})

test('where a backup lies is said in one way, and its key never in the arguments', async () => {
  const ada = await operator({AWS_ACCESS_KEY_ID: 'temporary', AWS_SECRET_ACCESS_KEY: 'secret'})
  const backup = async (...words: string[]) => {
    const {code, stderr} = await ada.run(['server', 'backup', ...words])
    return `${code} ${stderr}`
  }

  expect(await backup()).toMatch(/^2 .*FILE, or --s3/s)
  expect(await backup('one', '--s3', 's3://backups/one')).toMatch(/^2 .*FILE, or --s3/s)
  expect(await backup('--s3', 'https://backups/one')).toMatch(/^2 .*--s3 must be as s3:/s)
  expect(await backup('--s3', 's3://backups/../one')).toMatch(/^2 .*must be s3:\/\/BUCKET\/KEY/s)
  expect(await backup('--s3', 's3://backups/one', '--endpoint', 'ftp://x')).toMatch(/^2 .*endpoint of the bucket/s)
  const link = ['--s3', 's3://backups/one', '--endpoint', 'http://169.254.169.254']
  expect(await backup(...link)).toMatch(/^1 .*never dialled/s)
  ada.env.AWS_SESSION_TOKEN = 'x'
  expect(await backup('--s3', 's3://backups/one')).toMatch(/^2 .*AWS_SESSION_TOKEN/s)
  delete ada.env.AWS_SESSION_TOKEN
  delete ada.env.AWS_SECRET_ACCESS_KEY
  expect(await backup('--s3', 's3://backups/one')).toMatch(/^2 .*secret of the key/s)
  expect(await ada.run(['server', 'restore', 's3://backups/folder/', '--confirm', hostname()])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('names a folder'),
  })
})

test('F24: a restore is refused while the server runs, and a damaged backup leaves everything as it was', {
  timeout: 60_000,
}, async () => {
  const {run, at, data, plane} = await place()
  const backup = {data, withKey: false, version: '0.1.0'}
  await backupServer({...backup, file: at('plain')})
  await backupServer({...backup, file: at('sealed'), passphrase: 'correct horse battery'})
  const restore = (path: string) =>
    restoreServer({data, file: at(path), findPassphrase: async () => 'correct horse battery'})

  await expect(restore('plain')).rejects.toThrow('A control server runs here')
  await plane.user('later')
  await plane.stop()
  const store = join(plane.directory, 'server.db')
  const before = await readFile(store)
  for (const name of ['plain', 'sealed']) {
    const whole = await readFile(at(name))
    const flipped = Buffer.from(whole)
    flipped[whole.length >> 1] = (flipped[whole.length >> 1] ?? 0) ^ 0x55
    for (const damaged of [flipped, whole.subarray(0, whole.length - 100), Buffer.from('a letter')]) {
      await writeFile(at('damaged'), damaged)
      await expect(restore('damaged')).rejects.toThrow(/damaged (is no whole backup|does not open)/)
    }
  }
  expect((await readFile(store)).equals(before)).toBe(true)

  const {code, stdout} = await run([
    'server',
    'restore',
    at('plain'),
    '--data',
    data,
    '--confirm',
    hostname(),
    '-o',
    'json',
  ])
  expect(code).toBe(0)
  expect((await readFile(join(JSON.parse(stdout).kept, 'server.db'))).equals(before)).toBe(true)
  const names = await plane.whileStopped(async restored => (await restored.users.list()).map(({username}) => username))
  expect(names.sort()).toEqual(['admin', 'ann'])
})

test('F24: each of three backups of a store that is written to is whole and of one moment', {
  timeout: 60_000,
}, async () => {
  const {plane, at, data} = await place()
  let isOver = false
  const write = async (who: number) => {
    for (let count = 0; !isOver; count++)
      await plane.ok('images.create', {name: `i-${who}-${count}`, address: 'busybox'}, {token: plane.adminToken})
  }
  const writers = [1, 2].map(write)

  const images: number[] = []
  for (let count = 0; count < 3; count++) {
    await backupServer({data, file: at(`b${count}`), withKey: false, version: '0.1.0'})
    const folder = await temporaryDirectory()
    await unpackBackup(at(`b${count}`), folder)
    const store = await openStore({at: join(folder, 'server.db'), onFatal: () => undefined, beside: true})
    const made = (await store.audit.list(100_000)).filter(({action}) => action === 'images.create')
    images.push(made.length)
    expect((await store.images.list()).length).toBe(made.length)
    expect(await store.audit.verify({limit: 100_000})).toMatchObject({fault: null, isDone: true})
    await store.close()
  }
  isOver = true
  await Promise.all(writers)
  expect(images.at(-1)).toBeGreaterThan(images[0] ?? 0)
})

test('a change of files that fails half way is taken back', async () => {
  const directory = await temporaryDirectory()
  const staging = await temporaryDirectory()
  for (const name of ['server.db', 'server.db-wal', 'vault-key']) await writeFile(join(directory, name), `old ${name}`)
  await writeFile(join(staging, 'vault-key'), 'new')

  await expect(swapIn({directory, staging, names: ['server.db', 'vault-key']})).rejects.toMatchObject({code: 'ENOENT'})

  expect((await readdir(directory)).sort()).toEqual(['server.db', 'server.db-wal', 'vault-key'])
  expect(await readFile(join(directory, 'vault-key'), 'utf8')).toBe('old vault-key')
})

test('what cannot be backed up is refused with what to do instead', async () => {
  const {run, at, data, passphrase} = await place()
  const backup = (...more: string[]) => run(['server', 'backup', at('c'), '--data', data, ...more])

  expect(await backup('--db', 'postgres://gpuctl@127.0.0.1:1/gpuctl')).toMatchObject({code: 1})
  await writeFile(at('short'), 'short', {mode: 0o600})
  expect(await backup('--encrypt', '--passphrase-file', at('short'))).toMatchObject({code: 2})
  expect(await backup('--encrypt')).toMatchObject({code: 2, stderr: expect.stringContaining('--passphrase-file')})
  expect(await run(['server', 'backup', at('none/c'), '--data', data, ...passphrase])).toMatchObject({code: 1})
  expect(await run(['server', 'backup', at('c'), '--data', at('nothing')])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('There is no store at'),
  })
  expect(await readdir(dirname(at('c')))).not.toContain('c')
})
