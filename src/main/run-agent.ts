import {hostname} from 'node:os'
import {join} from 'node:path'
import type {Programs} from '../agent/programs.ts'
import {readSecretFile} from '../platform/files.ts'
import {createLogger} from '../platform/logger.ts'
import {checkSharedFolders, localApiTokenFile, readLocalApi} from './local-api.ts'
import {agentDirectory, checkFakeGpus} from './local-fleet.ts'
import {startNodeAgent} from './node-agent.ts'
import {type RunFile, removeRunFile, writeRunFile} from './run-file.ts'
import {FlagError} from './settings.ts'
import {startStandaloneAgent} from './standalone-agent.ts'

export interface AgentFlags {
  /** Absent: no control server, only the local API. */
  server?: string
  runtime?: 'docker' | 'process'
  fakeGpus?: string
  name?: string
  joinTokenFile?: string
  runtimePort?: number
  runtimeName?: string
  labels?: Record<string, string>
  verbose: boolean
  /** HOST:PORT or `none`; the usual address unless given. */
  localApi?: string
  sharedFolders?: string[]
}

/** An agent whose parent was killed has so long to end. */
export const orphanMs = 10_000

export interface AgentProcess {
  version: string
  /** What the server sent. */
  programs: Programs
  /** The process of ours that looks after this one: whoever ends the agent ends that one. */
  parent?: {pid: number; gone: Promise<void>}
}

/**
 * Runs the node agent in this process until TERM or INT, or until another program is to take its place. `say` is for the person at the machine: the code to type, and
 * what becomes of it. What the agent is at is also kept in its run file, for `agent status` and `up`.
 */
export async function runAgent(
  flags: AgentFlags,
  {version, programs, parent}: AgentProcess,
  say: (line: string) => void,
): Promise<'stopped' | 'replaced'> {
  process.umask(0o077)
  await checkFakeGpus(flags.fakeGpus)
  const {server} = flags
  const localApi = readLocalApi(flags.localApi)
  checkSharedFolders(flags.sharedFolders, server === undefined)
  const directory = agentDirectory()
  const logger = createLogger({level: flags.verbose ? 'debug' : 'info'})
  const stopping = new AbortController()
  const startedAt = new Date().toISOString()
  const node: NonNullable<RunFile['node']> = {
    status: 'joining',
    name: '',
    code: '',
    detail: '',
    runtime: flags.runtime ?? '',
    inference: '',
  }
  let writing: Promise<void> = Promise.resolve()
  const tell = (change: Partial<typeof node>) => {
    Object.assign(node, change)
    writing = writing
      .catch(() => {})
      .then(() =>
        writeRunFile(
          directory,
          {version, startedAt, urls: server === undefined ? [] : [server], node: {...node}},
          parent?.pid,
        ),
      )
      .catch(error => logger.warn({err: error}, 'the run file could not be written'))
  }
  let end: (why: 'stopped' | 'replaced') => void = () => {}
  const ended = new Promise<'stopped' | 'replaced'>(resolve => {
    end = resolve
  })
  const stop = () => {
    stopping.abort(new Error('stopped'))
    end('stopped')
  }
  let signals = 0
  const onSignal = () => {
    signals += 1
    if (signals > 1) process.exit(130)
    stop()
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  void parent?.gone.then(stop)
  try {
    const common = {...flags, localApi, directory, version, logger, lockWithinMs: parent && orphanMs}
    if (server === undefined) {
      const agent = await startStandaloneAgent(common)
      tell({status: 'online', name: hostname(), runtime: agent.runtime, localApi: agent.localApi, detail: 'standalone'})
      say(`No control server: this machine serves its local API at ${agent.localApi}`)
      say(`Its token is in ${join(directory, localApiTokenFile)}`)
      const why = await ended
      await agent.stop()
      return why
    }
    const agent = await startNodeAgent({
      ...common,
      server,
      joinToken: flags.joinTokenFile ? await readJoinToken(flags.joinTokenFile) : undefined,
      signal: stopping.signal,
      replaceable: {version, programs, replace: () => end('replaced')},
      onJoin: {
        code(code, expiresAt) {
          tell({status: 'joining', code, detail: `valid until ${expiresAt}`})
          say(`This machine asks to join ${server} with code ${code}`)
          say(`Approve it there: gpuctl node approve ${code}`)
        },
        waiting(reason) {
          tell({detail: reason})
          say(`Waiting: ${reason}`)
        },
      },
      onRuntime(state, detail) {
        const place = `port ${flags.runtimePort}`
        const inference = state === 'waiting' ? `${place}: waiting, ${detail}` : `${place}: reported as ${detail}`
        if (inference === node.inference) return
        tell({inference})
        if (state === 'registered')
          say(`The inference runtime registered. Approve it: gpuctl runtime approve ${detail}`)
        if (state === 'waiting') say(`The inference runtime waits: ${detail}`)
      },
      onLink(state, detail, name) {
        const status = ({up: 'online', refused: 'refused'} as const)[state as 'up'] ?? 'connecting'
        // While a refused machine dials again it stays refused: who looks in between must not take it for one that comes.
        if (state === 'connecting' && node.status === 'refused') return
        tell({status, name, detail, code: ''})
        if (state === 'up') say(`Online as ${name}.`)
        if (state === 'refused') say(`The server refuses this machine: ${detail}\n${wayBackIn()}`)
        if (state === 'down') say(`The link is down (${detail}); trying again. Containers run on.`)
      },
    })
    tell({runtime: agent.runtime, localApi: agent.localApi})
    const why = await ended
    await agent.stop()
    return why
  } catch (error) {
    if (!stopping.signal.aborted) throw error
    return 'stopped'
  } finally {
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal)
    await writing
    await removeRunFile(directory, parent?.pid)
  }
}

/** What a person does about a machine whose node was deleted, or whose key was revoked. */
export function wayBackIn(): string {
  return `The node was deleted there, or its key was revoked. To join anew: gpuctl agent stop, gpuctl agent reset, and start the agent again. Containers that it had run on; find them with \`docker ps --filter label=gpuctl.node\`.`
}

async function readJoinToken(path: string): Promise<string> {
  const text = await readSecretFile(path).catch((error: Error) => {
    throw new FlagError(`--join-token-file: ${error.message}`)
  })
  return text.trim()
}
