import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'
import {build} from 'esbuild'
import {onTestFinished} from 'vitest'

const here = fileURLToPath(new URL('.', import.meta.url))
const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url))

/** Builds writer-child.ts for a process of its own; it lies below node_modules so that it finds the packages. */
export async function buildWriter(): Promise<string> {
  const outdir = await mkdtemp(join(modules, '.gpuctl-test-'))
  onTestFinished(() => rm(outdir, {recursive: true, force: true}))
  await build({
    entryPoints: [join(here, 'writer-child.ts')],
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    outdir,
    outExtension: {'.js': '.mjs'},
  })
  return join(outdir, 'writer-child.mjs')
}

export interface Writer {
  /** Ids that were acknowledged so far. */
  readonly acknowledged: string[]
  readonly errors: () => string
  /** Resolves once `count` ids are acknowledged; rejects when the process ended before. */
  reached(count: number): Promise<void>
  kill(): Promise<void>
  readonly ended: Promise<number | null>
}

/** Starts it under `prefix` (strace …) and collects what it acknowledges. Killed when the test has ended. */
export function startWriter(script: string, file: string, prefix: readonly string[] = []): Writer {
  const [program, ...args] = [...prefix, process.execPath, script, file]
  const child: ChildProcess = spawn(program!, args, {stdio: ['ignore', 'pipe', 'pipe']})
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const acknowledged: string[] = []
  const waiting: {count: number; resolve: () => void}[] = []
  let errors = ''
  child.stderr!.on('data', chunk => {
    if (errors.length < 100_000) errors += chunk
  })
  createInterface({input: child.stdout!}).on('line', line => {
    // A line that a kill cut short is no acknowledgement.
    if (line !== 'open' && line.length === 36) acknowledged.push(line)
    for (const {count, resolve} of waiting) if (acknowledged.length >= count) resolve()
  })
  const kill = async () => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  return {
    acknowledged,
    errors: () => errors,
    ended,
    kill,
    reached: count =>
      Promise.race([
        new Promise<void>(resolve => waiting.push({count, resolve})),
        ended.then(code => {
          throw new Error(`The writer ended with ${code} after ${acknowledged.length} rows. ${errors.slice(-1000)}`)
        }),
      ]),
  }
}
