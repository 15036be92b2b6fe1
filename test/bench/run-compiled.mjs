import {spawn} from 'node:child_process'
import {mkdir, mkdtemp, readdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {build} from 'esbuild'

const root = join(import.meta.dirname, '..', '..')

/** Settings that would slow Node itself down, or point gpuctl at somebody's real data. */
const foreign = /^(NODE_OPTIONS|NODE_EXTRA_CA_CERTS|NODE_V8_COVERAGE|GPUCTL_.*|XDG_.*)$/

/**
 * Compiles test/bench into a temporary folder and runs one of its programs there with the given arguments. Sets the
 * exit code. The folder lies in node_modules, so that libraries are found from it, and goes away at the end.
 */
export async function runCompiled(program, args) {
  const cache = join(root, 'node_modules', '.cache')
  await mkdir(cache, {recursive: true})
  const folder = await mkdtemp(join(cache, 'gpuctl-bench-'))
  try {
    await compile(folder)
    process.exitCode = await run(join(folder, `${program}.js`), args, {GPUCTL_BENCH_FOLDER: folder})
  } finally {
    await rm(folder, {recursive: true, force: true})
  }
}

async function compile(folder) {
  const here = import.meta.dirname
  const workers = (await readdir(join(here, 'workers'))).filter(name => name.endsWith('.ts'))
  await build({
    absWorkingDir: root,
    entryPoints: [join(here, 'bench.ts'), join(here, 'soak.ts'), ...workers.map(name => join(here, 'workers', name))],
    entryNames: '[name]',
    chunkNames: 'chunks/[name]-[hash]',
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    define: {GPUCTL_VERSION: '"bench"'},
    keepNames: true,
    sourcemap: 'inline',
    logLevel: 'warning',
  })
}

/** Signals go to the program, which ends its own children; this one only waits for it. */
function run(path, args, extra) {
  const inherited = Object.entries(process.env).filter(([name]) => !foreign.test(name))
  const child = spawn(process.execPath, ['--enable-source-maps', path, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: {...Object.fromEntries(inherited), ...extra},
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => resolve(code ?? 1))
  })
}
