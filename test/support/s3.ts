import {execFileSync, spawn} from 'node:child_process'
import {randomUUID} from 'node:crypto'
import {rmSync} from 'node:fs'
import {mkdir, mkdtemp, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {S3mini} from 's3mini'
import type {TargetAccess} from '../../src/contract/storage-protocol.ts'
import {guardedFetch} from '../../src/storage/backup/guarded-fetch.ts'
import {eventually} from './wait.ts'

export type S3Access = Extract<TargetAccess, {type: 's3'}>

let running: Promise<{endpoint: string}> | undefined

/** A bucket on a real S3 server, radosgw, that ends with this process; and a client of its own to look into it. */
export async function bucket(name = `b-${randomUUID().slice(0, 8)}`): Promise<{access: S3Access; s3: S3mini}> {
  running ??= start()
  const {endpoint} = await running
  const key = {accessKeyId: 'gpuctlaccess', secretAccessKey: 'gpuctlsecret'}
  const access: S3Access = {type: 's3', endpoint, region: 'us-east-1', bucket: name, prefix: '', ...key}
  // The gateway's own region is called so; it takes any in a signature.
  const s3 = new S3mini({endpoint: `${endpoint}/${name}`, region: 'default', ...key, fetch: guardedFetch()})
  await eventually(() => s3.createBucket(), {withinMs: 60_000, what: 'a bucket'})
  return {access, s3}
}

/** Keys of the uploads that were begun and not ended. */
export async function unfinishedUploads(s3: S3mini): Promise<string[]> {
  const found = (await s3.listMultipartUploads('/')) as unknown as {
    ListMultipartUploadsResult: {Upload?: {Key: string} | {Key: string}[]}
  }
  return [found.ListMultipartUploadsResult.Upload ?? []].flat().map(({Key}) => Key)
}

/** One monitor, one store in memory, one gateway, all on 127.0.0.1. */
async function start(): Promise<{endpoint: string}> {
  const folder = await mkdtemp(join(tmpdir(), 'gpuctl-s3-'))
  process.once('exit', () => rmSync(folder, {recursive: true, force: true}))
  const [port, monitorPort] = [await freePort(), await freePort()]
  const fsid = randomUUID()
  for (const part of ['mon', 'osd', 'rgw', 'run']) await mkdir(join(folder, part))
  const settings = {
    fsid,
    'mon host': `[v2:127.0.0.1:${monitorPort}]`,
    'mon initial members': 'a',
    'public network': '127.0.0.0/8',
    'auth cluster required': 'none',
    'auth service required': 'none',
    'auth client required': 'none',
    'auth supported': 'none',
    'osd pool default size': '1',
    'osd pool default min size': '1',
    'mon allow pool size one': 'true',
    'osd pool default pg num': '4',
    'osd crush chooseleaf type': '0',
    'run dir': `${folder}/run`,
    'admin socket': `${folder}/run/$name.asok`,
    'log file': `${folder}/$name.log`,
    'mon data': `${folder}/mon`,
    'osd data': `${folder}/osd`,
    'osd objectstore': 'memstore',
    'memstore device bytes': String(2 ** 31),
    'mon pg warn min per osd': '0',
    // What is deleted makes room at once; else it waits for hours, and the store is soon full.
    ...{'rgw gc obj min wait': '0', 'rgw gc processor period': '5', 'rgw gc processor max time': '5'},
    'rgw data': `${folder}/rgw`,
    'rgw frontends': `beast endpoint=127.0.0.1:${port}`,
    'rgw dns name': 'localhost',
  }
  const file = join(folder, 'ceph.conf')
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  await writeFile(file, `[global]\n${lines.join('\n')}\n`)
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, ['--conf', file, ...args], {stdio: 'pipe', timeout: 30_000, encoding: 'utf8'})
  const daemon = (...command: string[]) => {
    // It ends with this process, also when that is killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {stdio: 'ignore'})
    child.unref()
    process.once('exit', () => child.kill('SIGKILL'))
  }
  const map = join(folder, 'monmap')
  execFileSync('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', `[v2:127.0.0.1:${monitorPort}]`, map], {
    stdio: 'pipe',
  })
  run('ceph-mon', '-i', 'a', '--mkfs', '--monmap', map)
  daemon('ceph-mon', '--conf', file, '-i', 'a', '-f')
  await eventually(() => says(() => run('ceph', '-s')), {withinMs: 60_000, what: 'the monitor'})
  run('ceph', 'osd', 'create')
  run('ceph-osd', '-i', '0', '--mkfs')
  says(() => run('ceph', 'osd', 'crush', 'add', 'osd.0', '1.0', 'root=default', 'host=vm'))
  daemon('ceph-osd', '--conf', file, '-i', '0', '-f')
  await eventually(() => says(() => run('ceph', 'osd', 'stat')).includes('1 up'), {withinMs: 60_000, what: 'the store'})
  const plain = ['--auth-client-required', 'none', '--ms-mon-client-mode', 'crc']
  daemon('radosgw', '--conf', file, '-n', 'client.rgw.a', '-f', ...plain)
  const endpoint = `http://127.0.0.1:${port}`
  await eventually(async () => (await fetch(endpoint).catch(() => undefined)) !== undefined, {
    ...{withinMs: 60_000, what: 'the gateway'},
  })
  const keys = ['--access-key', 'gpuctlaccess', '--secret-key', 'gpuctlsecret']
  run('radosgw-admin', 'user', 'create', '--uid', 'gpuctl', '--display-name', 'gpuctl', ...keys)
  return {endpoint}
}

function says(ask: () => string): string {
  try {
    return ask() || 'done'
  } catch {
    return ''
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const {port} = server.address() as {port: number}
      server.close(() => resolve(port))
    })
  })
}
