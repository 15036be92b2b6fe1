/**
 * Builds src/ into dist/: one ES module per entry point at the same path (dist/commands/node/list.js) and shared
 * chunks in dist/chunks. Libraries are bundled in, because opening hundreds of files of node_modules is slow.
 *
 * Everything in dist lies two folders deep or as an entry point, so code finds the package by `import.meta.url` only in
 * src/cli and src/main. `--clean` removes at once what is no longer built; without it a chunk stays for an hour after
 * its last build, since a server that is running may still import it.
 */
import {existsSync} from 'node:fs'
import {mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')
const staleAfterMs = 60 * 60 * 1000

/** Where a program or a file that is loaded by name begins. Folders may be absent. */
const entryFolders = ['commands', 'cli/hooks', 'main']
const entryFiles = ['cli/entry.ts', 'runtime/process-supervisor.ts', 'runtime/port-relay.ts']

/** Not bundled: native code, or packages that read files of their own at run time (swagger-ui: its pages, svg-captcha: its font). */
const external = [
  'ssh2',
  'cpu-features',
  '*.node',
  '@photostructure/sqlite',
  '@node-rs/argon2',
  'keytar',
  'keytar/*',
  '@napi-rs/keyring',
  'pg-native',
  'typescript',
  'ts-node',
  'tsx',
  '@fastify/swagger-ui',
  'svg-captcha',
  'dockerode/lib/session.js',
  'docker-modem/lib/ssh.js',
  'bufferutil',
  'utf-8-validate',
  'jq-web',
  'esbuild',
]

/** CommonJS libraries inside an ES module still ask for these three. */
const banner = `import {createRequire as createRequire$} from 'node:module'
import {fileURLToPath as fileURLToPath$} from 'node:url'
const require = createRequire$(import.meta.url)
const __filename = fileURLToPath$(import.meta.url)
const __dirname = fileURLToPath$(new URL('.', import.meta.url))
`

/** The Docker client loads gRPC and ssh2 for two things that are rarely asked of it: these are loaded at the first call. */
const rarelyUsedPartsOfDockerode = {
  name: 'rarely-used-parts-of-dockerode',
  setup({onLoad}) {
    onLoad({filter: /\/(dockerode\/lib\/session|docker-modem\/lib\/ssh)\.js$/}, ({path}) => ({
      contents: `module.exports = (...args) => require('${path.split('/').slice(-3).join('/')}')(...args)`,
    }))
  },
}

const esbuild = await import('esbuild').catch(() => undefined)
if (esbuild) await main(esbuild)
else skipWithoutEsbuild()

async function main({build}) {
  const {version} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const entryPoints = await findEntries()
  if (!existsSync(join(root, 'src/cli/entry.ts')))
    console.error('build: src/cli/entry.ts is missing; bin/run.js will not run.')
  if (entryPoints.length === 0) return

  const {outputFiles} = await build({
    absWorkingDir: root,
    entryPoints,
    outbase: 'src',
    outdir: dist,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external,
    plugins: [rarelyUsedPartsOfDockerode],
    banner: {js: banner},
    define: {GPUCTL_VERSION: JSON.stringify(version)},
    // Errors and commands are told apart by their class names, also where two classes of one chunk share a name.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
  })
  for (const {path, contents} of outputFiles) await writeWhenChanged(path, contents)
  await removeStale(new Set(outputFiles.map(({path}) => path)), process.argv.includes('--clean'))
}

/** `npm ci --omit=dev` runs this as well: right where dist/ came with the package, hopeless in a fresh clone. */
function skipWithoutEsbuild() {
  const isBuilt = existsSync(join(dist, 'cli/entry.js'))
  console.error(
    `build: esbuild is not installed; ${isBuilt ? 'dist/ stays as it is.' : 'install with the devDependencies.'}`,
  )
  process.exitCode = isBuilt ? 0 : 1
}

async function findEntries() {
  const found = entryFiles.filter(file => existsSync(join(root, 'src', file))).map(file => `src/${file}`)
  for (const folder of entryFolders) {
    const at = join(root, 'src', folder)
    if (!existsSync(at)) continue
    const names = (await readdir(at, {recursive: true})).filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    found.push(...names.sort().map(name => `src/${folder}/${name}`))
  }
  return found
}

/** By a rename, so that a program that starts meanwhile reads the old file or the new one. */
async function writeWhenChanged(path, contents) {
  const now = new Date()
  const before = await readFile(path).catch(() => undefined)
  if (before?.equals(contents)) return utimes(path, now, now)
  await mkdir(dirname(path), {recursive: true})
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, contents)
  await rename(temporary, path)
}

async function removeStale(current, atOnce) {
  for (const name of await readdir(dist, {recursive: true})) {
    const path = join(dist, name)
    if (current.has(path)) continue
    const found = await stat(path).catch(() => undefined)
    if (!found?.isFile()) continue
    const isChunk = name.startsWith('chunks/')
    if (atOnce || !isChunk || Date.now() - found.mtimeMs > staleAfterMs) await rm(path, {force: true})
  }
}
