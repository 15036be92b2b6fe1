import {type ChildProcess, spawn} from 'node:child_process'
import {closeSync, fstatSync, openSync} from 'node:fs'
import {open} from 'node:fs/promises'
import {setTimeout as pause} from 'node:timers/promises'
import {ensurePrivateDirectory} from '../platform/files.ts'
import {isRunning, type RunFile, readRunFile} from './run-file.ts'
import {CannotStart} from './settings.ts'

/**
 * Starts this program in the background as its own session, with its output in the log file, and waits until `ready`
 * finds it so. A child that ends before is reported with the end of its log.
 */
export async function startInBackground<T>(options: {
  program: string
  args: string[]
  logPath: string
  directory: string
  env?: NodeJS.ProcessEnv
  withinMs: number
  ready: (run: RunFile) => Promise<T | undefined>
}): Promise<T> {
  await ensurePrivateDirectory(options.directory)
  const log = openSync(options.logPath, 'a', 0o600)
  const logBefore = fstatSync(log).size
  const child = spawn(process.execPath, [options.program, ...options.args], {
    detached: true,
    stdio: ['ignore', log, log],
    env: {...process.env, ...options.env},
  })
  closeSync(log)
  child.unref()
  let exit: string | undefined
  let exitCode = 1
  child.once('exit', (code, signal) => {
    exit = signal ? `ended by ${signal}` : `exit code ${code}`
    exitCode = code || 1
  })
  child.once('error', error => {
    exit = error.message
  })
  const deadline = Date.now() + options.withinMs
  while (Date.now() < deadline) {
    const run = await readRunFile(options.directory)
    const answer = run?.pid === child.pid ? await options.ready(run as RunFile) : undefined
    if (answer !== undefined) return answer
    if (exit) throw await startFailed(`It did not start (${exit}).`, {...options, logBefore, exitCode})
    await pause(20)
  }
  await endChild(child)
  const waited = `It was not ready after ${options.withinMs / 1000} s and was ended.`
  throw await startFailed(waited, {...options, logBefore, exitCode})
}

/** TERM, and KILL 5 s later: a child that is not ready may not hear TERM either. */
async function endChild(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  const deadline = Date.now() + 5_000
  while (child.exitCode === null && child.signalCode === null) {
    if (Date.now() > deadline) {
      child.kill('SIGKILL')
      return
    }
    await pause(20)
  }
}

/** TERM, and KILL after the grace. False: nothing was running. */
export async function stopInBackground(directory: string, graceMs: number): Promise<boolean> {
  const run = await readRunFile(directory)
  if (!run) return false
  process.kill(run.pid, 'SIGTERM')
  const deadline = Date.now() + graceMs
  while (await isRunning(run)) {
    if (Date.now() > deadline) {
      process.kill(run.pid, 'SIGKILL')
      break
    }
    await pause(20)
  }
  return true
}

/** With what the program said of it this time: its own error, if it has one, else the end of its log. */
async function startFailed(
  what: string,
  {logPath, logBefore, exitCode}: {logPath: string; logBefore: number; exitCode: number},
): Promise<CannotStart> {
  const lines = (await readFrom(logPath, logBefore)).trimEnd().split('\n')
  const said = lines.flatMap(line => /^Error: (.*?)(?: \(E_\w+\))?$/.exec(line)?.[1] ?? [])
  const advice = lines.filter(line => line.startsWith('Try: ')).map(line => line.slice('Try: '.length))
  const message = said.length > 0 ? said : [what, ...lines.slice(-15)]
  return new CannotStart(message.join('\n'), [...advice, `Its log is ${logPath}.`].join(' '), {exitCode})
}

/** At most the last 64 KiB of what was written behind `offset`. */
async function readFrom(path: string, offset: number): Promise<string> {
  const file = await open(path).catch(() => undefined)
  if (!file) return ''
  try {
    const {size} = await file.stat()
    const start = Math.max(offset, size - 65_536)
    const {buffer, bytesRead} = await file.read(Buffer.alloc(Math.max(0, size - start)), 0, undefined, start)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
