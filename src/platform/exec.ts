import {type ChildProcessWithoutNullStreams, spawn} from 'node:child_process'
import {constants} from 'node:os'
import {setTimeout as pause} from 'node:timers/promises'

export interface ExecOptions {
  /** Written to stdin, which is then closed. */
  input?: string | Buffer
  /** Laid over the environment of this process. */
  env?: Record<string, string>
  /** `env` is the whole environment: nothing of this process's. */
  onlyEnv?: boolean
  timeoutMs?: number
  /** For stdout and stderr together. */
  maxOutputBytes?: number
  signal?: AbortSignal
  cwd?: string
}

export interface ExecResult {
  stdout: string
  stderr: string
  /** The exit code; 128 + n when signal n ended the program, as a shell says it. */
  code: number
}

export type Exec = (file: string, args: readonly string[], options?: ExecOptions) => Promise<ExecResult>

export type ExecErrorCode =
  | 'not_found'
  | 'not_allowed'
  | 'not_started'
  | 'timeout'
  | 'too_much_output'
  | 'aborted'
  | 'failed'

/** The program gave no usable answer. `code` says why; `exitCode` is there for `failed` (see `execOk`) only. */
export class ExecError extends Error {
  override readonly name = 'ExecError'
  readonly code: ExecErrorCode
  readonly stderr: string
  readonly exitCode: number | undefined

  constructor(
    code: ExecErrorCode,
    message: string,
    {stderr = '', exitCode}: {stderr?: string; exitCode?: number} = {},
  ) {
    super(message)
    this.code = code
    this.stderr = stderr
    this.exitCode = exitCode
  }
}

/** How long a program may tidy up between SIGTERM and SIGKILL. */
const TERM_GRACE_MS = 2_000
/** How long the rest of a group is waited for after SIGKILL: one that died may still wait for its new parent. */
const KILL_GRACE_MS = 500
/** A daemon that the program left behind may hold the pipes open for ever. */
const PIPE_GRACE_MS = 1_000

/**
 * Runs a program without a shell and returns what it printed; a non-zero exit is an answer, not an error.
 * Throws `ExecError` when it cannot start, runs longer than `timeoutMs` (default 30 s), prints more than
 * `maxOutputBytes` (default 8 MiB) or is aborted; its whole process group has ended then.
 */
export const exec: Exec = (file, args, options = {}) => {
  const {input, env, onlyEnv = false, timeoutMs = 30_000, maxOutputBytes = 8 * 1024 * 1024, signal, cwd} = options
  const wholeEnv = {...(onlyEnv ? {} : process.env), ...env}
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new ExecError('aborted', `${file} was not started: aborted.`))
    let child: ChildProcessWithoutNullStreams
    try {
      // detached: a group of its own, so that what the program started can be ended with it
      child = spawn(file, args, {env: wholeEnv, cwd, detached: true, stdio: 'pipe', windowsHide: true})
    } catch (error) {
      return reject(startError(file, error as NodeJS.ErrnoException))
    }

    const output = {stdout: [] as Buffer[], stderr: [] as Buffer[]}
    const text = (name: keyof typeof output) => Buffer.concat(output[name]).toString('utf8')
    let bytes = 0
    let failure: ExecError | undefined
    let exited = false
    const timers: NodeJS.Timeout[] = []

    const stop = (code: ExecErrorCode, message: string, first: NodeJS.Signals) => {
      if (failure) return
      failure = new ExecError(code, message)
      killGroup(child, first)
      if (first !== 'SIGKILL') timers.push(setTimeout(() => killGroup(child, 'SIGKILL'), TERM_GRACE_MS))
      if (exited) closePipes()
    }
    const closePipes = () => {
      child.stdout.destroy()
      child.stderr.destroy()
    }
    const settle = (act: () => void) => {
      for (const timer of timers) clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    const onAbort = () => stop('aborted', `${file} was aborted.`, 'SIGTERM')
    signal?.addEventListener('abort', onAbort, {once: true})
    timers.push(setTimeout(() => stop('timeout', `${file} took longer than ${timeoutMs} ms.`, 'SIGTERM'), timeoutMs))

    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('error', () => {}) // 'close' tells the end
      child[name].on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= maxOutputBytes) output[name].push(chunk)
        else stop('too_much_output', `${file} printed more than ${maxOutputBytes} bytes.`, 'SIGKILL')
      })
    }
    child.on('error', error => {
      if (child.pid === undefined) settle(() => reject(startError(file, error as NodeJS.ErrnoException)))
    })
    child.on('exit', () => {
      exited = true
      timers.push(setTimeout(closePipes, failure ? 0 : PIPE_GRACE_MS))
    })
    child.on('close', async (code, signalName) => {
      if (failure) await groupEnd(child, TERM_GRACE_MS + KILL_GRACE_MS)
      settle(() => {
        if (failure) return reject(new ExecError(failure.code, failure.message, {stderr: text('stderr')}))
        const exitCode = code ?? 128 + constants.signals[signalName ?? 'SIGKILL']
        resolve({stdout: text('stdout'), stderr: text('stderr'), code: exitCode})
      })
    })
    child.stdin.on('error', () => {}) // EPIPE: the program did not want its input
    child.stdin.end(input)
  })
}

/** Like `exec`, and throws `ExecError` `failed` when the program ends with another code than 0. */
export async function execOk(file: string, args: readonly string[], options?: ExecOptions): Promise<ExecResult> {
  const result = await exec(file, args, options)
  if (result.code === 0) return result
  const {stderr, code: exitCode} = result
  const said = stderr.trim().split('\n').slice(-3).join(' ').slice(0, 500)
  throw new ExecError('failed', `${file} ended with code ${exitCode}${said && `: ${said}`}`, {stderr, exitCode})
}

function startError(file: string, error: NodeJS.ErrnoException): ExecError {
  if (error.code === 'ENOENT') return new ExecError('not_found', `${file} is not installed.`)
  if (error.code === 'EACCES') return new ExecError('not_allowed', `${file} may not be run by this user.`)
  return new ExecError('not_started', `${file} cannot be started: ${error.message}`)
}

/** False: the group is gone already. */
function killGroup(child: ChildProcessWithoutNullStreams, signal: NodeJS.Signals | 0): boolean {
  try {
    return child.pid !== undefined && process.kill(-child.pid, signal)
  } catch {
    return false
  }
}

/** The program may be over before what it started, as a shell is: that must not work on behind the caller's back. */
async function groupEnd(child: ChildProcessWithoutNullStreams, mostMs: number): Promise<void> {
  const untilMs = performance.now() + mostMs
  while (killGroup(child, 0) && performance.now() < untilMs) await pause(20)
}
