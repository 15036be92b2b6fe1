import {readFile, rm} from 'node:fs/promises'
import {get} from 'node:http'
import {join} from 'node:path'
import {systemClock} from '../platform/clock.ts'
import {readSecretFile} from '../platform/files.ts'
import {startInBackground, stopInBackground} from './background.ts'
import {type RunFile, readRunFile} from './run-file.ts'
import {CannotStart, type Directories, FlagError, findDirectories} from './settings.ts'

/** Folder names under the data directory, and the files in it that other commands on this machine read. */
export const serverFolder = 'server'
export const agentFolder = 'agent'
export const localTokenFile = 'local-token'
export const firstPasswordFile = 'first-admin-password'

/** A cold start with a large store takes seconds; more than this is a failure. */
const readyWithinMs = 60_000
/** An agent polls each second; one that brought a join token is given so long before its code is shown. */
const admittedWithinMs = 5_000

export interface ServerStart {
  /** Path of bin/run.js. */
  program: string
  listen: string
  alsoListen: string[]
  data?: string
  database?: string
  tlsCert?: string
  tlsKey?: string
  selfSigned?: boolean
  sshPort?: number
}

export interface AgentStart {
  program: string
  /** Absent: standalone. */
  server?: string
  runtime?: string
  fakeGpus?: string
  name?: string
  joinTokenFile?: string
  /** KEY=VALUE. */
  labels?: string[]
  runtimePort?: number
  runtimeName?: string
  localApi?: string
  sharedFolders?: string[]
}

export function serverDirectory(data?: string, directories: Directories = findDirectories()): string {
  return join(data ?? directories.data, serverFolder)
}

export function agentDirectory(directories: Directories = findDirectories()): string {
  return join(directories.data, agentFolder)
}

/**
 * What `up` asks before it starts anything: that the flags of the agent can be meant so, and that the engine answers that
 * was named. (An agent by itself takes a named engine that is down: after a boot it may come first.)
 */
export async function checkAgentStart({runtime, fakeGpus}: {runtime?: string; fakeGpus?: string}): Promise<void> {
  if (await readRunFile(agentDirectory())) return
  await checkFakeGpus(fakeGpus)
  if (runtime !== 'docker') return
  const {runtimeDrivers} = await import('../runtime/registry.ts')
  const engine = await runtimeDrivers.docker({serverId: '', stateDirectory: '', clock: systemClock})
  const reason = await engine.unavailable()
  await engine.close()
  if (reason === undefined) return
  throw new CannotStart(
    `No Docker Engine answers: ${reason}`,
    'Start Docker, or name its socket by DOCKER_HOST=unix://…, or use --runtime process. Nothing was started.',
  )
}

/** Throws FlagError when simulated cards are asked for in words that say none. */
export async function checkFakeGpus(fakeGpus: string | undefined): Promise<void> {
  if (fakeGpus === undefined) return
  const {parseFakeGpus} = await import('../metrics/fake-gpus.ts')
  try {
    parseFakeGpus(fakeGpus)
  } catch (error) {
    throw new FlagError(`--fake-gpus: ${(error as Error).message}`)
  }
}

/** Starts the server in the background unless it runs already; resolves when it answers. */
export async function startServer(options: ServerStart): Promise<{run: RunFile; started: boolean}> {
  const directory = serverDirectory(options.data)
  const running = await readRunFile(directory)
  if (running) return {run: running, started: false}
  const args = ['server', 'start', '--listen', options.listen]
  for (const address of options.alsoListen) args.push('--also-listen', address)
  if (options.data) args.push('--data', options.data)
  if (options.tlsCert) args.push('--tls-cert', options.tlsCert)
  if (options.tlsKey) args.push('--tls-key', options.tlsKey)
  if (options.selfSigned) args.push('--tls')
  if (options.sshPort !== undefined) args.push('--ssh-port', String(options.sshPort))
  const run = await startInBackground({
    program: options.program,
    args,
    directory,
    logPath: join(directory, 'server.log'),
    // The URL may hold a password, which must not stand in the arguments (every user sees those).
    env: options.database ? {GPUCTL_DATABASE_URL: options.database} : {},
    withinMs: readyWithinMs,
    ready: async found => ((await answers(found.urls[0] ?? '')) ? found : undefined),
  })
  return {run, started: true}
}

/** The random password of the first start, once: reading it removes it. */
export async function takeFirstPassword(data?: string): Promise<string | undefined> {
  const path = join(serverDirectory(data), firstPasswordFile)
  const password = await readSecretFile(path).catch(() => undefined)
  if (password !== undefined) await rm(path, {force: true})
  return password?.trim()
}

/** The token with which commands on this machine reach their own server. */
export async function readLocalToken(data?: string): Promise<string | undefined> {
  return (await readSecretFile(join(serverDirectory(data), localTokenFile)).catch(() => undefined))?.trim()
}

/** Starts the agent in the background unless it runs already; resolves when it has a code to show, or is online. */
export async function startAgent(options: AgentStart): Promise<{run: RunFile; started: boolean}> {
  const directory = agentDirectory()
  const running = await readRunFile(directory)
  if (running) return {run: running, started: false}
  await checkFakeGpus(options.fakeGpus)
  const startedMs = performance.now()
  const args = ['agent', 'start', ...(options.server === undefined ? ['--standalone'] : ['--server', options.server])]
  if (options.runtime) args.push('--runtime', options.runtime)
  if (options.fakeGpus) args.push('--fake-gpus', options.fakeGpus)
  if (options.name) args.push('--name', options.name)
  if (options.runtimePort) args.push('--runtime-port', String(options.runtimePort))
  if (options.runtimeName) args.push('--runtime-name', options.runtimeName)
  if (options.joinTokenFile) args.push('--join-token-file', options.joinTokenFile)
  for (const pair of options.labels ?? []) args.push('--label', pair)
  if (options.localApi) args.push('--local-api', options.localApi)
  for (const folder of options.sharedFolders ?? []) args.push('--share-folder', folder)
  const run = await startInBackground({
    program: options.program,
    args,
    directory,
    logPath: join(directory, 'agent.log'),
    withinMs: readyWithinMs,
    // A join token may admit the machine at once: then its code is nothing to show.
    ready: async found => {
      const mayBeAdmitted = options.joinTokenFile !== undefined && performance.now() - startedMs < admittedWithinMs
      return isSettled(found.node?.status) || (found.node?.code && !mayBeAdmitted) ? found : undefined
    },
  })
  return {run, started: true}
}

/** Ends agent and server of this machine, in this order; data stays. */
export async function stopLocalFleet(graceMs: number): Promise<{agent: boolean; server: boolean}> {
  const agent = await stopInBackground(agentDirectory(), graceMs)
  const server = await stopInBackground(serverDirectory(), graceMs)
  return {agent, server}
}

/** What the background server has written so far; '' when it never ran here. */
export async function readServerLog(data?: string): Promise<string> {
  return readFile(join(serverDirectory(data), 'server.log'), 'utf8').catch(() => '')
}

/** What the background agent has written so far; '' when it never ran here. */
export async function readAgentLog(): Promise<string> {
  return readFile(join(agentDirectory(), 'agent.log'), 'utf8').catch(() => '')
}

function isSettled(status: string | undefined): boolean {
  return status === 'online' || status === 'refused'
}

/** Over TLS the certificate is not asked here: the process is our own child, found by its pid. */
async function answers(url: string): Promise<boolean> {
  if (url.startsWith('https:')) return true
  return new Promise(resolve => {
    const call = get(`${url}/healthz`, {timeout: 2_000}, answer => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    call.on('error', () => resolve(false))
    call.on('timeout', () => call.destroy())
  })
}
