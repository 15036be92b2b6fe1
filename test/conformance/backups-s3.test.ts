import {createHash, randomBytes} from 'node:crypto'
import {channel} from 'node:diagnostics_channel'
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {hostname} from 'node:os'
import {dirname, join} from 'node:path'
import {expect, test} from 'vitest'
import type {Backup, Site} from '../../src/contract/schemas/sites.ts'
import {S3Target} from '../../src/storage/backup/s3-target.ts'
import {backupPlace, nodeWithPool} from '../support/backup-place.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {bucket, unfinishedUploads} from '../support/s3.ts'
import {need} from '../support/skips.ts'

const {signal} = new AbortController()
const options = {expectedBytes: 0, signal}
const megabyte = 2 ** 20

async function* pieces(content: Buffer, {failAfter = Infinity} = {}): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += megabyte) {
    if (at >= failAfter) throw new Error('the source broke')
    yield content.subarray(at, at + megabyte)
  }
}

async function read(target: S3Target, name: string, from = 0): Promise<Buffer> {
  const found: Uint8Array[] = []
  for await (const piece of target.read(name, {from, signal})) found.push(piece)
  return Buffer.concat(found)
}

test('a file of several parts is there whole; it is read from any byte on, not replaced, and removed', async context => {
  need(context, 'radosgw')
  const {access, s3} = await bucket()
  const target = new S3Target({...access, prefix: 'site-a/'})
  const content = randomBytes(40 * megabyte + 17)

  await target.write('one.tar.zst', pieces(content), options)

  expect(await target.size('one.tar.zst')).toBe(content.length)
  expect((await s3.listObjects())?.map(({Key}) => Key)).toEqual(['site-a/one.tar.zst'])
  expect(sha(await read(target, 'one.tar.zst'))).toBe(sha(content))
  expect(sha(await read(target, 'one.tar.zst', 20_000_000))).toBe(sha(content.subarray(20_000_000)))
  await expect(target.write('one.tar.zst', pieces(content), options)).rejects.toMatchObject({code: 'exists'})
  await target.remove('one.tar.zst')
  await target.remove('one.tar.zst')
  expect(await target.size('one.tar.zst')).toBeNull()
  await expect(read(target, 'one.tar.zst')).rejects.toMatchObject({code: 'not_found'})
}, 120_000)

test('a cut upload leaves nothing; one whose agent died goes on with the parts that are there', async context => {
  need(context, 'radosgw')
  const {access, s3} = await bucket()
  const sent: string[] = []
  const target = new S3Target(access)
  const content = randomBytes(50 * megabyte)

  const cut = target.write('one', pieces(content, {failAfter: 40 * megabyte}), options)
  await expect(cut).rejects.toThrow('the source broke')
  expect(await unfinishedUploads(s3)).toEqual([])
  expect(await target.size('one')).toBeNull()

  // As an agent that died leaves it: two parts of our bytes, and a third of others.
  const uploadId = await s3.getMultipartUploadId('one')
  const size = 16 * megabyte
  for (const [number, bytes] of [
    content.subarray(0, size),
    content.subarray(size, 2 * size),
    randomBytes(size),
  ].entries()) {
    await s3.uploadPart('one', uploadId, bytes as never, number + 1)
  }
  expect(await unfinishedUploads(s3)).toHaveLength(1)
  const requests = channel('undici:request:create')
  const look = (message: unknown) => {
    const {request} = message as {request: {method: string; origin: string; path: string}}
    const {searchParams} = new URL(request.path, request.origin)
    if (request.method === 'PUT') sent.push(searchParams.get('partNumber') ?? '')
  }
  requests.subscribe(look)
  try {
    await target.write('one', pieces(content), options)
  } finally {
    requests.unsubscribe(look)
  }
  expect(sent.sort()).toEqual(['3', '4'])
  expect(sha(await read(target, 'one'))).toBe(sha(content))
  expect(await unfinishedUploads(s3)).toEqual([])
}, 120_000)

test('a wrong key and a wrong bucket are said in words', async context => {
  need(context, 'radosgw')
  const {access} = await bucket()
  const write = (rest: object) => new S3Target({...access, ...rest}).write('one', pieces(randomBytes(1000)), options)

  await expect(write({secretAccessKey: 'wrong'})).rejects.toThrow(/refuses the key/)
  await expect(write({bucket: 'no-such-bucket'})).rejects.toMatchObject({name: 'StorageError', code: 'not_found'})
  await expect(write({endpoint: 'http://127.0.0.1:1'})).rejects.toMatchObject({name: 'StorageError', code: 'failed'})
}, 120_000)

test('a backup in a bucket outlives its node: another one reads it, brings it back and deletes it', async context => {
  need(context, 'root', 'radosgw')
  const {plane, home, bob, token, list, done} = await backupPlace()
  const {access, s3} = await bucket()
  const odd = {name: 'odd', ...access, endpoint: 'https://s3.example.com:99999'}
  const refused = await plane.ask('backupTargets.create', odd, {token})
  expect(refused.json).toMatchObject({error: {code: 'input_invalid', message: 'endpoint: has no such host or port'}})
  await plane.ok('backupTargets.create', {name: 'vault', ...access, prefix: undefined}, {token})
  await done('backups.create', {site: 'shop', target: 'vault'})
  const other = await nodeWithPool(plane, 'n2', 'other')
  await plane.ok('nodes.delete', {id: home.nodeId}, {token})

  const [kept] = (await list()) as [Backup]
  expect(kept).toMatchObject({provider: 'vault', node: 'n1', isNodeGone: true})
  for (const by of [token, bob]) {
    for (const wanted of [{}, {node: 'n1'}, {site: 'shop'}]) expect((await list(wanted, by))[0]).toEqual(kept)
  }
  expect(await plane.ok('pools.list', {}, {token})).toMatchObject([{name: 'other'}])
  await done('backups.verify', {id: kept.id}, bob)
  const {headers} = await plane.ask('backups.download', {id: kept.id}, {token: bob})
  expect(Number(headers['content-length'])).toBe(kept.sizeBytes)
  const homeless = await plane.ask('backups.restore', {id: kept.id, site: 'shop'}, {token: bob})
  expect(homeless).toMatchObject({status: 409, json: {error: {code: 'backup_homeless'}}})

  await done('backups.restore', {id: kept.id, site: 'shop', node: 'n2'})
  expect(await readFile(join(await other.folderOf('shop'), 'page'), 'utf8')).toBe('bytes of bob')
  expect(await plane.ok<Site[]>('sites.list', {}, {token: bob})).toMatchObject([{name: 'shop', node: 'n2'}])
  const {result} = await done('backups.delete', {id: kept.id, confirm: kept.filename})
  expect(result).toEqual({filename: kept.filename, fileStays: false})
  expect((await s3.listObjects()) ?? []).toEqual([])
}, 120_000)

test('F24: a backup in a bucket is what was sent, replaces nothing, and comes back from there', {
  timeout: 120_000,
}, async context => {
  need(context, 'radosgw')
  const {access, s3} = await bucket()
  const plane = await controlPlane()
  await plane.user('ann')
  const {env, home, run, json, ok} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const data = dirname(plane.directory)
  await mkdir(home, {recursive: true})
  const at = (path: string) => join(home, path)
  const passphrase = ['--passphrase-file', at('passphrase')]
  await writeFile(at('passphrase'), 'correct horse battery\n', {mode: 0o600})
  await writeFile(at('secret'), `${access.secretAccessKey}\n`, {mode: 0o600})
  const words = ['--endpoint', access.endpoint, '--access-key', access.accessKeyId, '--secret-file', at('secret')]
  const url = `s3://${access.bucket}/fleet/one.backup`
  const backup = ['server', 'backup', '--data', data, ...words]

  const made = await json<{file: string; sha256: string}>([...backup, '--s3', url, '--with-key', ...passphrase])
  const named = await json<{file: string}>([...backup, '--s3', `s3://${access.bucket}/`])

  expect(made.file).toBe(url)
  expect(named.file).toMatch(/\/gpuctl-[A-Za-z0-9-]+-\d{8}T\d{6}Z\.backup$/)
  const keys = (await s3.listObjects())?.map(({Key}) => Key)
  expect(keys).toEqual(['fleet/one.backup', named.file.slice(`s3://${access.bucket}/`.length)])
  const content = new Uint8Array((await s3.getObjectArrayBuffer('fleet/one.backup')) ?? new ArrayBuffer())
  expect(sha(content)).toBe(made.sha256)
  const rows = await json<object[]>(['audit', 'list', '--action', 'server.backup'])
  expect(rows).toContainEqual(expect.objectContaining({details: expect.objectContaining({file: url})}))
  expect(await run([...backup, url])).toMatchObject({code: 1, stderr: expect.stringContaining('is there already')})
  expect(
    (await readdir(data)).concat(await readdir(plane.directory)).filter(name => name.startsWith('.gpuctl')),
  ).toEqual([])

  // As a job of cron has it: all in the variables of AWS's own tools.
  Object.assign(env, {
    AWS_ENDPOINT_URL: access.endpoint,
    AWS_ACCESS_KEY_ID: access.accessKeyId,
    AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
  })
  const other = at('other')
  const restore = (object: string) => [
    'server',
    'restore',
    object,
    '--data',
    other,
    '--confirm',
    hostname(),
    ...passphrase,
  ]
  expect(await run(restore(`s3://${access.bucket}/fleet/two.backup`))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('it is not there'),
  })
  await ok(restore(url))
  const again = await controlPlane({directory: join(other, 'server')})
  expect(await again.login('ann', 'Long-enough-ann')).toMatch(/./)

  // What goes wrong leaves the bucket as it was.
  await writeFile(at('wrong'), 'not-the-secret\n', {mode: 0o600})
  const wrong = await run([...backup.slice(0, -1), at('wrong'), '--s3', `s3://${access.bucket}/three.backup`])
  expect(wrong).toMatchObject({code: 1, stderr: expect.stringContaining('refuses the key')})
  expect((await s3.listObjects())?.map(({Key}) => Key)).toEqual(keys)
})

function sha(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
