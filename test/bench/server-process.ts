import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {closeSync, mkdirSync, openSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as pause} from 'node:timers/promises'
import {WebSocket} from 'ws'

export interface ServerOptions {
  /** bin/run.js */
  program: string
  /** Folder of its data; that of an earlier start to go on with it. */
  data: string
  /** HOST:PORT; a free one unless given. */
  listen?: string
  /** Ends the server at once, by force. */
  signal?: AbortSignal
  /** `postgres://…` in place of the file in the data folder. */
  database?: string
  /** Of the jump host; none unless given. */
  sshPort?: number
  /** How often it is looked whether it is ready: 2 unless given. */
  everyMs?: number
  /** Lets a debugger in, at a free port that its log tells. */
  inspect?: true
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

const logName = 'bench-server.log'
const readyWithinMs = 60_000

/** A control server as a process of its own, as an operator starts it. */
export class ServerProcess {
  readonly url: string
  readonly port: number
  /** API token of the administrator. */
  readonly token: string
  /** From the start of the process to the file that says it listens. */
  readonly readyAfterMs: number
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess

  private constructor(
    child: ChildProcess,
    exited: Promise<Exit>,
    found: {url: string; token: string; readyAfterMs: number},
  ) {
    this.#child = child
    this.exited = exited
    this.url = found.url
    this.port = Number(new URL(found.url).port)
    this.token = found.token
    this.readyAfterMs = found.readyAfterMs
  }

  /** Resolves when it listens. Throws with the end of its log when it ends before, or takes more than a minute. */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const {child, exited, folder, sinceMs} = spawnServer(options)
    let exit: Exit | undefined
    void exited.then(found => {
      exit = found
    })
    while (performance.now() - sinceMs < readyWithinMs) {
      const run = readJson<{pid: number; urls: string[]}>(join(folder, 'run.json'))
      if (run && run.pid === child.pid && run.urls[0]) {
        const readyAfterMs = performance.now() - sinceMs
        const token = readFileSync(join(folder, 'local-token'), 'utf8').trim()
        return new ServerProcess(child, exited, {url: run.urls[0], token, readyAfterMs})
      }
      if (exit) throw new Error(`The server ended while it started (${exit.signal ?? exit.code}).\n${logEnd(folder)}`)
      await pause(options.everyMs ?? 2)
    }
    child.kill('SIGKILL')
    throw new Error(`The server was not ready after ${readyWithinMs / 1000} s.\n${logEnd(folder)}`)
  }

  get pid(): number {
    return this.#child.pid!
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** A crash. */
  kill9(): Promise<Exit> {
    this.#child.kill('SIGKILL')
    return this.exited
  }

  /** In peace; by force after 15 s. */
  async stop(): Promise<Exit & {afterMs: number}> {
    const sinceMs = performance.now()
    this.#child.kill('SIGTERM')
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 15_000)
    const exit = await this.exited
    clearTimeout(force)
    return {...exit, afterMs: performance.now() - sinceMs}
  }
}

/** Starts a server and kills it after that time, whatever it is doing. Answers whether it was still alive. */
export async function killWhileStarting(options: ServerOptions, afterMs: number): Promise<boolean> {
  const {child, exited} = spawnServer(options)
  await pause(afterMs)
  child.kill('SIGKILL')
  return (await exited).signal === 'SIGKILL'
}

/** Lines of level error and worse that the servers of this folder wrote. */
export function loggedErrors(data: string): string[] {
  const lines = readFileSync(join(data, logName), 'utf8').split('\n')
  return lines.filter(line => /"level":"(error|fatal)"/.test(line) || (line !== '' && !line.startsWith('{')))
}

function spawnServer({program, data, listen = '127.0.0.1:0', database, sshPort = 0, inspect, signal}: ServerOptions) {
  const folder = join(data, 'server')
  mkdirSync(data, {recursive: true, mode: 0o700})
  const password = join(data, 'bench-password')
  writeFileSync(password, 'a-password-for-benches-only-7261\n', {mode: 0o600})
  const log = openSync(join(data, logName), 'a', 0o600)
  const sinceMs = performance.now()
  const child = spawn(
    process.execPath,
    [...(inspect ? ['--inspect=127.0.0.1:0'] : []), program, 'server', 'start', '--data', data, '--listen', listen],
    {
      stdio: ['ignore', log, log],
      signal,
      killSignal: 'SIGKILL',
      env: {
        PATH: process.env.PATH,
        GPUCTL_SSH_PORT: String(sshPort),
        HOME: data,
        TMPDIR: process.env.TMPDIR,
        GPUCTL_CONFIG_DIR: join(data, 'config'),
        GPUCTL_CACHE_DIR: join(data, 'cache'),
        GPUCTL_ADMIN_PASSWORD_FILE: password,
        ...(database ? {GPUCTL_DATABASE_URL: database} : {}),
      },
    },
  )
  closeSync(log)
  const exited = new Promise<Exit>(resolve => child.once('exit', (code, signal) => resolve({code, signal})))
  // An abort is told here as well; the exit says all.
  child.on('error', () => {})
  return {child, exited, folder, sinceMs}
}

/** Makes a server that was started with `inspect` give back the memory that it does not use. */
export async function collectGarbage(data: string): Promise<void> {
  const [url] = /ws:\/\/127\.0\.0\.1:\S+/.exec(readFileSync(join(data, logName), 'utf8')) ?? []
  if (!url) throw new Error('The server was not started for a debugger.')
  const socket = new WebSocket(url)
  await once(socket, 'open')
  socket.send(JSON.stringify({id: 1, method: 'HeapProfiler.collectGarbage'}))
  await once(socket, 'message')
  socket.close()
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch {
    return undefined
  }
}

function logEnd(folder: string): string {
  try {
    return readFileSync(join(folder, '..', logName), 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-15)
      .join('\n')
  } catch {
    return ''
  }
}
