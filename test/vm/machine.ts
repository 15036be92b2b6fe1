import {spawn} from 'node:child_process'
import {readFile} from 'node:fs/promises'
import {join, resolve} from 'node:path'
import {build} from 'esbuild'
import type {GuestResult} from './guest/main.ts'

/** How long the tests may take in it before the machine is ended. */
const longestSeconds = 900

export interface GuestRun {
  /** 0 when all were run to their end, passed or not. */
  code: number | null
  results: GuestResult[]
}

/**
 * Runs tests in the machine of boot.sh, one after the other: the files by a name of theirs, and of them the tests whose
 * full names fit. What they say is passed on; `shared` is a folder that the machine sees. With a network it also sees what
 * listens on 127.0.0.1 here, at 10.0.2.2.
 */
export async function runInMachine(
  shared: string,
  files: Record<string, string>,
  {names, network = false}: {names: RegExp; network?: boolean},
): Promise<GuestRun> {
  // As one program each: a loader and hundreds of files are a minute's work in there.
  await build({
    absWorkingDir: resolve('.'),
    entryPoints: {main: 'test/vm/guest/main.ts', ...files},
    outdir: shared,
    outExtension: {'.js': '.mjs'},
    alias: {vitest: './test/vm/guest/vitest.ts'},
    external: ['ssh2'],
    // For what is CommonJS in them.
    banner: {js: "import {createRequire} from 'node:module'; const require = createRequire(import.meta.url)"},
    ...{bundle: true, splitting: true, format: 'esm', platform: 'node', target: 'node20', logLevel: 'warning'},
  })
  const at = (name: string) => `/mnt/shared/${name}`
  const programs = Object.keys(files).map(name => at(`${name}.mjs`))
  const tests = `node ${at('main.mjs')} ${at('results')} '${names.source}' ${programs.join(' ')}`
  const command = `cd '/mnt/host${resolve('.')}' && timeout ${longestSeconds} ${tests}`
  const code = await ended(['test/vm/boot.sh', shared, command], network)
  return {code, results: await readResults(join(shared, 'results'))}
}

async function ended([program = '', ...args]: string[], network: boolean): Promise<number | null> {
  const wanted = {GPUCTL_VM_SECONDS: String(longestSeconds + 60), GPUCTL_VM_NETWORK: network ? 'yes' : 'no'}
  const env = {...process.env, ...wanted}
  const child = spawn(program, args, {stdio: ['ignore', 'inherit', 'inherit'], env})
  return new Promise((done, fail) => child.once('error', fail).once('exit', done))
}

async function readResults(path: string): Promise<GuestResult[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const lines = text.split('\n').filter(line => line !== '')
  return lines.map(line => JSON.parse(line) as GuestResult)
}
