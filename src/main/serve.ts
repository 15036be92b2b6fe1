import {resolve} from 'node:path'
import {DirectoryLocked} from '../platform/lock.ts'
import {createLogger, type Logger} from '../platform/logger.ts'
import {type ControlServerOptions, type RunningServer, startControlServer} from './control-server.ts'
import {serverDirectory} from './local-fleet.ts'
import {readServerFlags, type ServerFlags} from './server-options.ts'
import {CannotStart} from './settings.ts'

/** What Node says of an address that cannot be listened at, in words. */
const addressTrouble: Record<string, string> = {
  EADDRINUSE: 'is taken by another program',
  EACCES: 'may not be used by this user',
  EADDRNOTAVAIL: 'is not an address of this machine',
}

/** sysexits.h EX_SOFTWARE: for the supervisor, after a write whose outcome is unknown (reliability F12). */
const brokenStoreExit = 70
const graceMs = 8_000

/**
 * Lets V8's young generation grow from 1 to 16 MB in one step, not by doubling: a collection takes 1 to 3 ms whatever its
 * size, so small ones come ten times as often, and calls on their way through wait for them (`npm run bench -- inference`).
 */
const youngGenerationGrowth = '--semi-space-growth-factor=16'
/** Not before bin/load.js has kept the compiled code: V8 takes it at the next start only if its flags were the same. */
const growAfterMs = 5_000

/**
 * Runs the control server in this process until TERM or INT; a second signal ends it at once. `onReady` is called when
 * it listens.
 */
export async function serve(
  flags: ServerFlags & {verbose: boolean},
  version: string,
  onReady: (server: RunningServer) => void,
): Promise<void> {
  process.umask(0o077)
  const logger = createLogger({level: flags.verbose ? 'debug' : 'info'})
  const {addresses, tls, exposed} = await readServerFlags(flags)
  // Before the start: whoever reads the run file may send a signal at once.
  const signalled = firstSignal(logger)
  const server = await startOrExplain({
    ...{addresses, tls, exposed, version, logger},
    tlsFiles: flags.tlsCert && flags.tlsKey ? {cert: resolve(flags.tlsCert), key: resolve(flags.tlsKey)} : undefined,
    ssh: flags.sshPort ? {port: flags.sshPort} : undefined,
    directory: serverDirectory(flags.data),
    database: flags.database,
    onFatal: error => {
      logger.fatal({err: error}, 'the store cannot be trusted any more; ending')
      process.exit(brokenStoreExit)
    },
  })
  onReady(server)
  setTimeout(() => void growYoungGeneration(), growAfterMs).unref()
  await signalled
  await server.stop(graceMs)
}

/** Resolves at the first TERM or INT; the second one ends the process at once. */
function firstSignal(logger: Logger): Promise<void> {
  return new Promise(resolve => {
    let signals = 0
    const onSignal = (signal: string) => {
      signals += 1
      logger.info({signal}, signals === 1 ? 'stopping' : 'stopping at once')
      if (signals > 1) process.exit(130)
      resolve()
    }
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  })
}

function whereElse(isJumpHost: boolean): string {
  if (isJumpHost) return 'Choose another port for SSH with --ssh-port PORT, or 0 for no jump host.'
  return 'Choose another one with --listen HOST:PORT.'
}

/** Says of a folder that is taken who has it. */
export async function explainLock<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof DirectoryLocked)) throw error
    const hint = 'A control server runs there already: see `gpuctl server status`.'
    throw new CannotStart(error.message, hint, {cause: error})
  }
}

async function startOrExplain(options: ControlServerOptions): Promise<RunningServer> {
  try {
    return await explainLock(startControlServer(options))
  } catch (error) {
    const {code = '', address, port} = error as {code?: string; address?: string; port?: number}
    const trouble = addressTrouble[code]
    if (trouble)
      throw new CannotStart(`${address}:${port} ${trouble}.`, whereElse(port === options.ssh?.port), {cause: error})
    throw error
  }
}

async function growYoungGeneration(): Promise<void> {
  const {setFlagsFromString} = await import('node:v8')
  setFlagsFromString(youngGenerationGrowth)
}
