import {readFile, rm} from 'node:fs/promises'
import {get} from 'node:http'
import {join} from 'node:path'
import {readSecretFile} from '../platform/files.ts'
import {startInBackground, stopInBackground} from './background.ts'
import {type RunFile, readRunFile} from './run-file.ts'
import {type Directories, findDirectories} from './settings.ts'

/** Folder names under the data directory, and the files in it that other commands on this machine read. */
export const serverFolder = 'server'
export const agentFolder = 'agent'
export const localTokenFile = 'local-token'
export const firstPasswordFile = 'first-admin-password'

/** A cold start with a large store takes seconds; more than this is a failure. */
const readyWithinMs = 60_000

export interface ServerStart {
  /** Path of bin/run.js. */
  program: string
  listen: string
  alsoListen: string[]
  data?: string
  database?: string
  tlsCert?: string
  tlsKey?: string
  sshPort?: number
}

export interface AgentStart {
  program: string
  server: string
  runtime?: string
  fakeGpus?: string
  name?: string
  joinTokenFile?: string
  /** KEY=VALUE. */
  labels?: string[]
}

export function serverDirectory(data?: string, directories: Directories = findDirectories()): string {
  return join(data ?? directories.data, serverFolder)
}

export function agentDirectory(directories: Directories = findDirectories()): string {
  return join(directories.data, agentFolder)
}

/** Starts the server in the background unless it runs already; resolves when it answers. */
export async function startServer(options: ServerStart): Promise<{run: RunFile; started: boolean; password?: string}> {
  const directory = serverDirectory(options.data)
  const running = await readRunFile(directory)
  if (running) return {run: running, started: false}
  const args = ['server', 'start', '--listen', options.listen]
  for (const address of options.alsoListen) args.push('--also-listen', address)
  if (options.data) args.push('--data', options.data)
  if (options.tlsCert) args.push('--tls-cert', options.tlsCert)
  if (options.tlsKey) args.push('--tls-key', options.tlsKey)
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
  return {run, started: true, password: await takeFirstPassword(options.data)}
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
  const args = ['agent', 'start', '--server', options.server]
  if (options.runtime) args.push('--runtime', options.runtime)
  if (options.fakeGpus) args.push('--fake-gpus', options.fakeGpus)
  if (options.name) args.push('--name', options.name)
  if (options.joinTokenFile) args.push('--join-token-file', options.joinTokenFile)
  for (const pair of options.labels ?? []) args.push('--label', pair)
  const run = await startInBackground({
    program: options.program,
    args,
    directory,
    logPath: join(directory, 'agent.log'),
    withinMs: readyWithinMs,
    ready: async found => (found.node?.code || isSettled(found.node?.status) ? found : undefined),
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
