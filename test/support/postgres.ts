import {execFile, execFileSync, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {existsSync} from 'node:fs'
import {chown, mkdir, mkdtemp, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import pg from 'pg'
import {onTestFinished} from 'vitest'
import {postgresBinDir} from './skips.ts'
import {eventually} from './wait.ts'

/** A throw-away PostgreSQL server on loopback. It ends with the process that owns it, even when that one is killed. */
export interface Postgres {
  /** Of the database `postgres`, user gpuctl, no password. */
  readonly url: string
  /** Ends the server and removes its files. May be repeated. */
  stop(): Promise<void>
  /** Crash and recovery: ends the server as a power cut of its process would, and starts it again on the same port. */
  restartImmediate(): Promise<void>
  /** A new empty database; returns its URL. Drop it with `dropDatabase`, or leave it to `stop`. */
  createDatabase(): Promise<string>
  dropDatabase(url: string): Promise<void>
}

/** Starts a server for the caller alone (about 0.6 s). `fsync` is off unless asked for. Throws where none is installed. */
export async function startPostgres({fsync = false}: {fsync?: boolean} = {}): Promise<Postgres> {
  const folder = await mkdtemp(join(tmpdir(), 'gpuctl-pg-'))
  return attach(await startIn(folder, process.pid, fsync))
}

/**
 * A new database on the server that all tests of this run share; dropped when the running test has ended.
 * The first test that asks starts the server, which ends with the run.
 */
export async function createDatabase(): Promise<string> {
  const shared = attach(await sharedCluster())
  const url = await shared.createDatabase()
  onTestFinished(() => shared.dropDatabase(url))
  return url
}

interface Cluster {
  readonly folder: string
  readonly port: number
}

/** Test files run in processes of their own, so they meet in a folder that is named after the run's main process. */
async function sharedCluster(): Promise<Cluster> {
  const folder = join(tmpdir(), `gpuctl-pg-run-${process.ppid}`)
  const ready = join(folder, 'ready.json')
  const isFirst = await mkdir(folder).then(
    () => true,
    () => false,
  )
  if (isFirst) {
    const cluster = await startIn(folder, process.ppid, false)
    await writeFile(`${ready}.tmp`, JSON.stringify(cluster))
    await rename(`${ready}.tmp`, ready)
    return cluster
  }
  await eventually(() => existsSync(ready), {withinMs: 30_000, what: `the shared PostgreSQL in ${folder}`})
  return JSON.parse(await readFile(ready, 'utf8')) as Cluster
}

async function startIn(folder: string, ownerPid: number, fsync: boolean): Promise<Cluster> {
  const user = serverUser()
  if (user) await chown(folder, user.uid, user.gid)
  const cluster = {folder, port: await freePort()}
  try {
    const initdb = [
      '-D',
      `${folder}/data`,
      '-A',
      'trust',
      '-U',
      'gpuctl',
      '-E',
      'UTF8',
      '--no-sync',
      '--no-instructions',
    ]
    await runAsServer('initdb', initdb)
    const settings = [`port=${cluster.port}`, `unix_socket_directories='${folder}'`, "listen_addresses='127.0.0.1'"]
    settings.push(`fsync=${fsync ? 'on' : 'off'}`, 'max_connections=100', "timezone='UTC'", '')
    await writeFile(`${folder}/data/postgresql.auto.conf`, settings.join('\n'))
    watch(cluster, ownerPid)
    await pgCtl(cluster, 'start', '-l', `${folder}/log`)
  } catch (error) {
    const log = await readFile(`${folder}/log`, 'utf8').catch(() => '')
    await rm(folder, {recursive: true, force: true})
    throw new Error(`PostgreSQL did not start. ${log.slice(-2_000)}`, {cause: error})
  }
  return cluster
}

function attach(cluster: Cluster): Postgres {
  const url = `postgres://gpuctl@127.0.0.1:${cluster.port}/postgres`
  return {
    url,
    async stop() {
      if (!existsSync(cluster.folder)) return
      await pgCtl(cluster, 'stop', '-m', 'immediate').catch(() => undefined)
      await rm(cluster.folder, {recursive: true, force: true})
    },
    async restartImmediate() {
      await pgCtl(cluster, 'stop', '-m', 'immediate')
      await pgCtl(cluster, 'start', '-l', `${cluster.folder}/log`)
    },
    async createDatabase() {
      const name = `test_${randomBytes(6).toString('hex')}`
      await query(url, `CREATE DATABASE ${name}`)
      return url.replace(/postgres$/, name)
    },
    async dropDatabase(databaseUrl) {
      await query(url, `DROP DATABASE IF EXISTS ${new URL(databaseUrl).pathname.slice(1)} WITH (FORCE)`)
    },
  }
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

function pgCtl({folder}: Cluster, verb: 'start' | 'stop', ...args: string[]): Promise<void> {
  return runAsServer('pg_ctl', ['-D', `${folder}/data`, '-w', '-t', '30', ...args, verb])
}

async function runAsServer(program: string, args: string[]): Promise<void> {
  const bin = postgresBinDir()
  if (!bin) throw new Error('PostgreSQL is not installed (no initdb under /usr/lib/postgresql).')
  const options = {...serverUser(), cwd: '/', timeout: 60_000, env: {PATH: process.env.PATH, LC_ALL: 'C.UTF-8'}}
  await promisify(execFile)(`${bin}/${program}`, args, options)
}

/** PostgreSQL refuses to run as root; Debian's package brings the user postgres. */
function serverUser(): {uid: number; gid: number} | undefined {
  if (process.getuid?.() !== 0) return undefined
  const ask = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], {encoding: 'utf8'}))
  return {uid: ask('-u'), gid: ask('-g')}
}

/** Ends the server when its owner is gone, however that one ended. */
function watch({folder}: Cluster, ownerPid: number): void {
  const script = `while [ -e /proc/$1 ] && [ -d "$2" ]; do sleep 0.5; done
    "$3/pg_ctl" -D "$2/data" -m immediate -w stop; rm -rf "$2"`
  const args = ['-c', script, 'gpuctl-pg-watch', String(ownerPid), folder, postgresBinDir() ?? '']
  spawn('/bin/sh', args, {...serverUser(), cwd: '/', detached: true, stdio: 'ignore'}).unref()
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
