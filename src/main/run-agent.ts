import {join} from 'node:path'
import {readSecretFile} from '../platform/files.ts'
import {createLogger} from '../platform/logger.ts'
import {agentDirectory} from './local-fleet.ts'
import {startNodeAgent} from './node-agent.ts'
import {type RunFile, removeRunFile, writeRunFile} from './run-file.ts'

export interface AgentFlags {
  server: string
  runtime?: 'docker' | 'process'
  fakeGpus?: string
  name?: string
  joinTokenFile?: string
  labels?: Record<string, string>
  verbose: boolean
}

/**
 * Runs the node agent in this process until TERM or INT. `say` is for the person at the machine: the code to type, and
 * what becomes of it. What the agent is at is also kept in its run file, for `agent status` and `up`.
 */
export async function runAgent(flags: AgentFlags, version: string, say: (line: string) => void): Promise<void> {
  process.umask(0o077)
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
  }
  let writing: Promise<void> = Promise.resolve()
  const tell = (change: Partial<typeof node>) => {
    Object.assign(node, change)
    writing = writing
      .catch(() => {})
      .then(() => writeRunFile(directory, {version, startedAt, urls: [flags.server], node: {...node}}))
      .catch(error => logger.warn({err: error}, 'the run file could not be written'))
  }
  const signalled = new Promise<void>(resolve => {
    let signals = 0
    const onSignal = () => {
      signals += 1
      if (signals > 1) process.exit(130)
      stopping.abort(new Error('stopped'))
      resolve()
    }
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  })
  try {
    const agent = await startNodeAgent({
      ...flags,
      joinToken: flags.joinTokenFile ? (await readSecretFile(flags.joinTokenFile)).trim() : undefined,
      ...{directory, version, logger, signal: stopping.signal},
      onJoin: {
        code(code, expiresAt) {
          tell({status: 'joining', code, detail: `valid until ${expiresAt}`})
          say(`This machine asks to join ${flags.server} with code ${code}`)
          say(`Approve it there: gpuctl node approve ${code}`)
        },
        waiting(reason) {
          tell({detail: reason})
          say(`Waiting: ${reason}`)
        },
      },
      onLink(state, detail, name) {
        const status = ({up: 'online', refused: 'refused'} as const)[state as 'up'] ?? 'connecting'
        tell({status, name, detail, code: ''})
        if (state === 'up') say(`Online as ${name}.`)
        if (state === 'refused')
          say(`The server refuses this machine: ${detail} Its identity is ${join(directory, 'identity.json')}.`)
        if (state === 'down') say(`The link is down (${detail}); trying again. Containers run on.`)
      },
    })
    tell({runtime: agent.runtime})
    await signalled
    await agent.stop()
  } catch (error) {
    if (!stopping.signal.aborted) throw error
  } finally {
    await writing
    await removeRunFile(directory)
  }
}
