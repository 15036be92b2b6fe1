import {spawn} from 'node:child_process'
import {closeSync, openSync} from 'node:fs'
import {readFile} from 'node:fs/promises'
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
  const child = spawn(process.execPath, [options.program, ...options.args], {
    detached: true,
    stdio: ['ignore', log, log],
    env: {...process.env, ...options.env},
  })
  closeSync(log)
  child.unref()
  let exit: string | undefined
  child.once('exit', (code, signal) => {
    exit = signal ? `ended by ${signal}` : `exit code ${code}`
  })
  child.once('error', error => {
    exit = error.message
  })
  const deadline = Date.now() + options.withinMs
  while (Date.now() < deadline) {
    const run = await readRunFile(options.directory)
    const answer = run?.pid === child.pid ? await options.ready(run as RunFile) : undefined
    if (answer !== undefined) return answer
    if (exit) throw await startFailed(`It did not start (${exit}).`, options.logPath)
    await pause(20)
  }
  child.kill('SIGTERM')
  throw await startFailed(`It was not ready after ${options.withinMs / 1000} s and was ended.`, options.logPath)
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

/** With what the program said of it last: its own error, if it has one. */
async function startFailed(what: string, logPath: string): Promise<CannotStart> {
  const lines = await lastLines(logPath)
  const said = lines.split('\n').filter(line => /^(Error|Try this): /.test(line))
  return new CannotStart([what, ...(said.length ? said : [lines])].join('\n'), `Its log is ${logPath}.`)
}

async function lastLines(path: string, count = 15): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-count).join('\n')
}
