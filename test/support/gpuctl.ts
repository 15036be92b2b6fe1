import {spawn} from 'node:child_process'
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import {onTestFinished} from 'vitest'
import {temporaryDirectory} from './temporary-directory.ts'

export const program = join(import.meta.dirname, '..', '..', 'bin', 'run.js')

export interface Run {
  code: number | null
  stdout: string
  stderr: string
}

/** A person at a terminal of their own: the built program, with its configuration and data in a folder that goes with the test. */
export interface Operator {
  home: string
  env: NodeJS.ProcessEnv
  /** Runs `gpuctl …args` without a terminal; at most 60 s unless said. */
  run(args: string[], options?: {input?: string; withinMs?: number; signal?: AbortSignal; cwd?: string}): Promise<Run>
  /** As run, and fails unless it ends with 0. */
  ok(args: string[]): Promise<Run>
  /** As ok, with `-o json`; the parsed output. */
  json<T>(args: string[]): Promise<T>
}

const foreign =
  /^(GPUCTL_|XDG_|NO_COLOR|FORCE_COLOR|CLICOLOR|CI$|NODE_OPTIONS$|NODE_EXTRA_CA_CERTS$|(https?|no)_proxy$)/i

/** Whatever this person started with `up` is ended with the test. */
export async function operator(extra: NodeJS.ProcessEnv = {}): Promise<Operator> {
  const home = await temporaryDirectory('gpuctl-e2e-')
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)))
  const env = {
    ...inherited,
    GPUCTL_CONFIG_DIR: join(home, 'config'),
    GPUCTL_DATA_DIR: join(home, 'data'),
    GPUCTL_CACHE_DIR: join(home, 'cache'),
    GPUCTL_KEYRING: 'file',
    GPUCTL_SSH_PORT: '0',
    ...extra,
  }
  const run: Operator['run'] = (args, {input, withinMs = 60_000, signal, cwd} = {}) =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [program, ...args], {env, cwd, stdio: ['pipe', 'pipe', 'pipe'], signal})
      const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
      const output = {stdout: '', stderr: ''}
      child.stdout.setEncoding('utf8').on('data', piece => {
        output.stdout += piece
      })
      child.stderr.setEncoding('utf8').on('data', piece => {
        output.stderr += piece
      })
      child.once('error', reject)
      child.once('close', code => {
        clearTimeout(timer)
        resolve({code, ...output})
      })
      child.stdin.on('error', () => {})
      child.stdin.end(input ?? '')
    })
  const ok: Operator['ok'] = async args => {
    const result = await run(args)
    if (result.code !== 0)
      throw new Error(`gpuctl ${args.join(' ')} ended with ${result.code}\n${result.stdout}${result.stderr}`)
    return result
  }
  onTestFinished(async () => {
    await run(['down'])
    await rm(home, {recursive: true, force: true})
  })
  return {home, env, run, ok, json: async args => JSON.parse((await ok([...args, '-o', 'json'])).stdout)}
}
