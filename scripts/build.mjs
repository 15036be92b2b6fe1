/**
 * Builds src/ into dist/: `bundle/light.cjs` and `bundle/cli.cjs` with all commands, `bundle/main.cjs` with the server and
 * the agent, the small programs of `runtime/`, and the web page in `dashboard/`. Each module in a bundle is run at its first use. The bundles
 * are function expressions that bin/load.js calls, with a hash of the content in front (docs/decisions/0014-one-bundle-and-kept-code.md).
 *
 * Everything in dist lies two folders deep, so code finds the package by `import.meta.url` only in src/cli and src/main.
 */
import {createHash} from 'node:crypto'
import {existsSync} from 'node:fs'
import {mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {buildCompletion} from './build/completion.mjs'
import {writeHelp} from './build/help.mjs'
import {helpers, lateModules} from './build/late.mjs'
import {
  filesBeside,
  foundSqlite,
  halvesApart,
  lateDockerode,
  lateOclif,
  leanFastify,
  lightOclif,
} from './build/plugins.mjs'
import {buildTiers} from './build/tiers.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')

/** Not bundled: native code, and what is never asked for. Only the first five are dependencies of the package. */
const external = [
  ...[
    '@node-rs/argon2',
    '@photostructure/sqlite',
    'jq-web',
    'keytar',
    'keytar/*',
    'ssh2',
    './cli.cjs',
    './libraries.cjs',
    './light.cjs',
    './main.cjs',
  ],
  ...['*.node', '@grpc/*', 'bufferutil', 'cpu-features', 'pg-native', 'ts-node', 'tsx', 'typescript', 'utf-8-validate'],
]

const esbuild = await import('esbuild').catch(() => undefined)
if (esbuild) await main(esbuild)
else skipWithoutEsbuild()

async function main({build, transform}) {
  const {version} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const options = {
    absWorkingDir: root,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    external,
    define: {GPUCTL_VERSION: JSON.stringify(version), 'import.meta.url': 'bundleUrl$'},
    // A bundle is compiled by itself, without Node's loader of modules, which alone could import.
    supported: {'dynamic-import': false},
    // Errors and commands are told apart by their class names, also where two classes of one bundle share a name.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
  }
  const bundle = {
    ...options,
    banner: {
      js: `(function (exports, require, module, __filename, __dirname) {const bundleUrl$ = 'file://' + encodeURI(__filename).replace(/[?#]/g, encodeURIComponent);`,
    },
    footer: {js: '})'},
  }
  const libraries = new Set()
  const commands = {
    ...bundle,
    keepNames: false,
    banner: {js: `${bundle.banner.js}\n${helpers}`},
    plugins: [
      lateOclif,
      lightOclif,
      halvesApart(libraries, name => external.includes(name), lateModules(transform, options.define)),
    ],
    minify: true,
    lineLimit: 200,
  }
  const tiers = await buildTiers({build, options: commands, names: await modulesIn('commands'), entry, root})
  const built = await Promise.all([
    ...tiers,
    build({...bundle, ...entry('libraries', librariesEntry(libraries)), plugins: [lateOclif]}),
    build({
      ...bundle,
      ...entry('main', await mainEntry()),
      external: external.filter(name => name !== '@photostructure/sqlite'),
      plugins: [lateDockerode, leanFastify, foundSqlite, filesBeside(root, dist)],
      // Each name kept is a call at the start, of which there are thousands.
      keepNames: false,
      minifyWhitespace: true,
      minifySyntax: true,
      lineLimit: 200,
    }),
    build({...options, ...entry('front', await frontEntry()), minifyWhitespace: true}),
    build({
      ...options,
      entryPoints: ['src/cli/keyring-process.ts', 'src/runtime/process-supervisor.ts', 'src/runtime/port-relay.ts'],
      outbase: 'src',
      outdir: 'dist',
      outExtension: {'.js': '.cjs'},
      define: {},
    }),
  ])
  const files = [
    ...built.flatMap(({outputFiles}) => outputFiles),
    ...(await buildCompletion(build, root)),
    ...(await filesOfPage()),
  ]
  for (const {path, contents} of files) await writeWhenChanged(path, isBundle(path) ? signed(contents) : contents)
  await removeStale(new Set(files.map(({path}) => path)))
  await writeHelp(root)
}

/** The web page is what its files are: no build, no library. */
async function filesOfPage() {
  const names = await readdir(join(root, 'src', 'dashboard'))
  const read = async name => ({
    path: join(dist, 'dashboard', name),
    contents: await readFile(join(root, 'src', 'dashboard', name)),
  })
  return Promise.all(names.map(read))
}

function entry(name, contents) {
  return {
    stdin: {contents, resolveDir: root, sourcefile: `${name}-entry.ts`, loader: 'ts'},
    outfile: `dist/bundle/${name}.cjs`,
  }
}

function librariesEntry(names) {
  const lines = [...names].sort().map(name => `${JSON.stringify(name)}: () => import(${JSON.stringify(name)}),`)
  return `export const modules = {\n${lines.join('\n')}\n}\n`
}

async function frontEntry() {
  const ids = (await modulesIn('commands')).map(name => name.replaceAll('/', ':'))
  return `import {useOf as find} from './src/cli/front.ts'\nexport const useOf = argv => find(argv, ${JSON.stringify(ids)})\n`
}

async function mainEntry() {
  const lines = (await modulesIn('main')).map(
    name => `${JSON.stringify(name)}: () => require('./src/main/${name}.ts'),`,
  )
  return `export const modules = {\n${lines.join('\n')}\n}\n`
}

async function modulesIn(folder) {
  const names = await readdir(join(root, 'src', folder), {recursive: true})
  return names
    .filter(name => /(?<!\.d)\.ts$/.test(name))
    .map(name => name.slice(0, -'.ts'.length))
    .sort()
}

function isBundle(path) {
  return /\/bundle\/(cli|libraries|light|main)\.cjs$/.test(path)
}

/**
 * By its first line bin/load.js tells whether compiled code that it has kept belongs to this text. It reads one byte as one
 * character, and esbuild leaves regular expressions as they are.
 */
function signed(contents) {
  const text = Buffer.from(contents).toString('utf8')
  const ascii = text.replace(/[^\0-\x7f]/g, letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return Buffer.from(`/*${createHash('sha256').update(ascii).digest('hex').slice(0, 16)}*/${ascii}`)
}

/** `npm ci --omit=dev` runs this as well: right where dist/ came with the package, hopeless in a fresh clone. */
function skipWithoutEsbuild() {
  const isBuilt = existsSync(join(dist, 'bundle/cli.cjs'))
  console.error(
    `build: esbuild is not installed; ${isBuilt ? 'dist/ stays as it is.' : 'install with the devDependencies.'}`,
  )
  process.exitCode = isBuilt ? 0 : 1
}

/** By a rename, so that a program that starts meanwhile reads the old file or the new one. */
async function writeWhenChanged(path, contents) {
  const before = await readFile(path).catch(() => undefined)
  if (before?.equals(contents)) return
  await mkdir(dirname(path), {recursive: true})
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, contents)
  await rename(temporary, path)
}

async function removeStale(current) {
  for (const file of await readdir(dist, {recursive: true, withFileTypes: true})) {
    const path = join(file.parentPath ?? file.path, file.name)
    if (file.isFile() && !current.has(path) && !path.startsWith(join(dist, 'assets'))) await rm(path, {force: true})
  }
}
