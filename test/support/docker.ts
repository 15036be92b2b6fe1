import {type ChildProcess, execFile, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {existsSync, openSync, readdirSync, readFileSync} from 'node:fs'
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {get} from 'node:http'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {onTestFinished} from 'vitest'
import type {Certificates} from './certs.ts'
import {eventually} from './wait.ts'

const exec = promisify(execFile)

/** An engine with its own data, bridge, name and id. It ends, with all its containers, when the process that owns it does. */
export interface Dockerd {
  readonly name: string
  readonly socketPath: string
  /** TCP with mutual TLS, where certificates were given. */
  readonly host: string | undefined
  readonly port: number | undefined
  readonly pid: number
  /** A crash: SIGKILL; resolves when the engine and its containerd are gone. Containers live on. */
  kill9(): Promise<void>
  /** Starts it again after `kill9`, or ends it in peace and starts it again. Resolves when it answers. */
  restart(): Promise<void>
  /** SIGSTOP: connections are accepted and nothing answers. */
  pause(): void
  resume(): void
  /** Ends it and its containers and removes its data. May be repeated. */
  stop(): Promise<void>
}

export interface DockerdOptions {
  /** Also its host name. */
  name: string
  /** Makes it listen on TCP, too. */
  tls?: Certificates
  /** Containers survive a restart of the engine. */
  liveRestore?: boolean
  /** Folders that come first in its PATH, such as `fakeGpuHookPath`. */
  extraPath?: string
  /** Kept by `stop` where given. Default: a new folder, removed by `stop`. */
  dataRoot?: string
  /** Own rules in the host's tables. Off: containers reach the bridge only. */
  iptables?: boolean
  /** The process whose end ends the engine. Default: this one. */
  ownerPid?: number
}

/** Put first in an engine's PATH, makes it register Docker's nvidia device driver. */
export const fakeGpuHookPath = join(import.meta.dirname, 'fake-gpu-hook')

/** Starts an engine (about 0.7 s). Needs root, docker.io, iptables and iproute2. */
export async function startDockerd(options: DockerdOptions): Promise<Dockerd> {
  const engine = new PrivateDockerd(options, await reserveBridge(), options.tls ? await freePort() : undefined)
  try {
    await engine.start()
  } catch (error) {
    await engine.stop()
    throw error
  }
  return engine
}

/** `startDockerd` for the running test alone: stopped when the test has ended. */
export async function testDockerd(options: DockerdOptions): Promise<Dockerd> {
  const engine = await startDockerd(options)
  onTestFinished(() => engine.stop())
  return engine
}

/**
 * The engine that all tests of this run share: the one at DOCKER_HOST or /var/run/docker.sock where it answers, else a
 * private one that ends with the run. Tests label their containers and remove them.
 */
export async function sharedDocker(): Promise<{socketPath: string}> {
  const standing = standingSocket()
  if (await answers(standing)) return {socketPath: standing}
  const folder = join(tmpdir(), `gpuctl-docker-run-${process.ppid}`)
  const ready = join(folder, 'ready.json')
  const isFirst = await mkdir(folder).then(
    () => true,
    () => false,
  )
  if (isFirst) {
    try {
      const ownerPid = process.ppid
      const {socketPath} = await startDockerd({name: 'gpuctl-shared', liveRestore: true, ownerPid})
      await writeFile(`${ready}.tmp`, JSON.stringify({socketPath}))
      await rename(`${ready}.tmp`, ready)
    } catch (error) {
      await rm(folder, {recursive: true, force: true})
      throw error
    }
    removeWithOwner(folder, process.ppid)
  }
  await eventually(() => existsSync(ready), {withinMs: 40_000, what: `the shared Docker Engine in ${folder}`})
  return JSON.parse(await readFile(ready, 'utf8')) as {socketPath: string}
}

/** Why `sharedDocker` and `startDockerd` cannot work here, or undefined. */
export async function dockerMissing(): Promise<string | undefined> {
  if (await answers(standingSocket())) return undefined
  return dockerdMissing()
}

/** Why `startDockerd` cannot work here, or undefined. */
export async function dockerdMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root to start a Docker Engine, or one that answers'
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin')
  const missing = ['dockerd', 'iptables', 'ip', 'unshare'].filter(
    program => !folders.some(folder => existsSync(join(folder, program))),
  )
  return missing.length > 0 ? `needs ${missing.join(', ')} to start a Docker Engine` : undefined
}

function standingSocket(): string {
  const {DOCKER_HOST} = process.env
  return DOCKER_HOST?.startsWith('unix://') ? DOCKER_HOST.slice('unix://'.length) : '/var/run/docker.sock'
}

class PrivateDockerd implements Dockerd {
  readonly name: string
  readonly socketPath: string
  readonly host: string | undefined
  readonly port: number | undefined
  readonly #folder: string
  readonly #options: DockerdOptions
  readonly #bridge: string
  #process: ChildProcess | undefined
  #stopped = false

  constructor(options: DockerdOptions, bridge: string, port: number | undefined) {
    this.name = options.name
    this.#options = options
    this.#bridge = bridge
    this.#folder = `/var/lib/gpuctl-test/${options.name}-${randomBytes(4).toString('hex')}`
    this.socketPath = join(this.#folder, 'docker.sock')
    this.host = port === undefined ? undefined : '127.0.0.1'
    this.port = port
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  async start(): Promise<void> {
    for (const name of ['data', 'exec', 'etc']) await mkdir(join(this.#folder, name), {recursive: true})
    await mkdir('/etc/docker', {recursive: true})
    const isFirstStart = !existsSync(join(this.#folder, 'log'))
    await this.#launch()
    if (isFirstStart) this.#endWithOwner()
  }

  async kill9(): Promise<void> {
    const containerd = this.#containerdPid()
    process.kill(this.pid, 'SIGKILL')
    await this.#gone(this.pid)
    if (containerd) await this.#gone(containerd)
  }

  async restart(): Promise<void> {
    if (isAlive(this.pid)) {
      process.kill(this.pid, 'SIGCONT')
      process.kill(this.pid, 'SIGTERM')
      await this.#gone(this.pid, 20_000)
    }
    await this.#launch()
  }

  pause(): void {
    process.kill(this.pid, 'SIGSTOP')
    // A busy machine takes its time: what is asked meanwhile would still be answered.
    const untilMs = Date.now() + 2_000
    while (!hasStopped(this.pid) && Date.now() < untilMs)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    await exec('/bin/sh', ['-c', cleanUp, 'gpuctl-docker-stop', ...this.#cleanUpArguments()], {timeout: 60_000})
  }

  async #launch(): Promise<void> {
    // An engine that was killed leaves these behind, and hangs for 15 s at its next start while their processes are
    // not reaped yet.
    for (const path of [join(this.#folder, 'dockerd.pid'), this.#containerdPidFile]) {
      const left = readPid(path)
      if (left) await this.#gone(left)
      await rm(path, {force: true})
    }
    const log = openSync(join(this.#folder, 'log'), 'a')
    const {extraPath} = this.#options
    const path = [extraPath, process.env.PATH, '/usr/sbin', '/sbin'].filter(Boolean).join(':')
    // The id lies in /etc/docker and the name is the host's: without namespaces of its own every engine has the same.
    const script = 'hostname "$1"; mount --bind "$2/etc" /etc/docker; shift 2; exec "$@"'
    const program = ['/bin/sh', '-c', script, 'sh', this.name, this.#folder, 'dockerd', ...this.#flags()]
    this.#process = spawn('unshare', ['--mount', '--uts', '--propagation', 'slave', ...program], {
      env: {PATH: path, HOME: '/root'},
      stdio: ['ignore', log, log],
      detached: true,
    })
    this.#process.unref()
    const hasAnswered = async () => {
      if (!isAlive(this.pid)) throw new Error(`dockerd ended: ${this.#logEnd()}`)
      return answers(this.socketPath)
    }
    const what = `an answer of the engine ${this.name}`
    await eventually(hasAnswered, {withinMs: 40_000, everyMs: 25, what}).catch(error => {
      throw new Error(`The Docker Engine did not start: ${this.#logEnd()}`, {cause: error})
    })
  }

  #flags(): string[] {
    const {tls, liveRestore, iptables = false, dataRoot = join(this.#folder, 'data')} = this.#options
    const flags = ['--data-root', dataRoot, '--exec-root', join(this.#folder, 'exec'), '--bridge', this.#bridge]
    flags.push('--pidfile', join(this.#folder, 'dockerd.pid'), '-H', `unix://${this.socketPath}`)
    flags.push(`--iptables=${iptables}`, '--log-level', 'warn')
    if (liveRestore) flags.push('--live-restore')
    if (!tls) return flags
    const at = (name: string) => join(tls.folder, name)
    flags.push('-H', `tcp://${this.host}:${this.port}`, '--tlsverify', '--tlscacert', at('ca.pem'))
    return [...flags, '--tlscert', at('server-cert.pem'), '--tlskey', at('server-key.pem')]
  }

  get #containerdPidFile(): string {
    return join(this.#folder, 'exec/containerd/containerd.pid')
  }

  #containerdPid(): number | undefined {
    return readPid(this.#containerdPidFile)
  }

  /** PID 1 reaps orphans after about a second. */
  async #gone(pid: number, withinMs = 10_000): Promise<void> {
    await eventually(() => !existsSync(`/proc/${pid}`), {withinMs, what: `the end of process ${pid}`})
  }

  #logEnd(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8').trim().split('\n').slice(-5).join('\n')
  }

  #cleanUpArguments(): string[] {
    return [this.#folder, this.#bridge]
  }

  /** Watches from outside, since the owner may be killed. */
  #endWithOwner(): void {
    const script = `while [ -e /proc/"$3" ] && [ -d "$1" ]; do sleep 0.5; done; [ -d "$1" ] || exit 0; ${cleanUp}`
    const owner = String(this.#options.ownerPid ?? process.pid)
    const args = ['-c', script, 'gpuctl-docker-watch', ...this.#cleanUpArguments(), owner]
    spawn('/bin/sh', args, {cwd: '/', detached: true, stdio: 'ignore'}).unref()
  }
}

/**
 * $1 the engine's folder, $2 its bridge. Ends the engine hard (it may be paused or dead already), then every shim that
 * was started with its folder, and with them their containers; its mounts went with its namespace.
 */
const cleanUp = `
of() { grep -lsF "$1/" /proc/[0-9]*/cmdline 2>/dev/null | sed 's,/proc/,,; s,/cmdline,,'; }
for kind in dockerd containerd; do
  for pid in $(of "$1"); do [ "$(cat /proc/$pid/comm 2>/dev/null)" = "$kind" ] && kill -9 "$pid" 2>/dev/null; done
done
for pid in $(of "$1"); do
  [ "$pid" = $$ ] && continue
  case "$(cat /proc/$pid/comm 2>/dev/null)" in containerd-shim*|docker-proxy) ;; *) continue ;; esac
  for child in $(cat /proc/$pid/task/*/children 2>/dev/null); do kill -9 "$child" 2>/dev/null; done
  kill -9 "$pid" 2>/dev/null
done
ip link del "$2" 2>/dev/null
for try in 1 2 3 4 5 6; do
  grep -F " $1/" /proc/mounts | cut -d' ' -f2 | sort -r | while read -r at; do umount -l "$at" 2>/dev/null; done
  rm -rf "$1" 2>/dev/null && break
  sleep 0.3
done
true
`

/** A bridge is the lock on its number, so that engines of several processes never share a network. */
async function reserveBridge(): Promise<string> {
  await exec('ip', ['link', 'show', 'lo'])
  for (let attempt = 0; attempt < 60; attempt++) {
    const number = 1 + ((randomBytes(1)[0] ?? 0) % 250)
    const bridge = `gpuctltest${number}`
    const isFree = await exec('ip', ['link', 'add', bridge, 'type', 'bridge']).then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    await exec('ip', ['addr', 'add', `172.30.${number}.1/24`, 'dev', bridge])
    await exec('ip', ['link', 'set', bridge, 'up'])
    return bridge
  }
  throw new Error('No bridge could be made: are 250 test engines running, or is CAP_NET_ADMIN missing?')
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise(resolve => {
    const request = get({socketPath, path: '/_ping', timeout: 2_000}, response => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
  })
}

function readPid(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8')) || undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  if (pid === 0) return false
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function removeWithOwner(folder: string, ownerPid: number): void {
  const script = 'while [ -e /proc/"$2" ]; do sleep 0.5; done; rm -rf "$1"'
  const args = ['-c', script, 'gpuctl-docker-run', folder, String(ownerPid)]
  spawn('/bin/sh', args, {cwd: '/', detached: true, stdio: 'ignore'}).unref()
}

export function freePort(): Promise<number> {
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

/** All its threads stand still. */
function hasStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every(thread =>
    / T \d/.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1').replace(/^.*\)/s, '')),
  )
}
