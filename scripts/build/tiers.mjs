import {relative, sep} from 'node:path'

/**
 * The commands are in two bundles: `light.cjs` holds those that people and scripts type all day, with all that every
 * command needs at once; `cli.cjs` the others, and what commands load while they run. A module is in one of the two, and
 * asks the other bundle for what is there.
 */
const everyday = [
  ...['claim/cancel', 'claim/get', 'claim/list', 'claim/submit', 'claim/wait'],
  ...['context/list', 'context/use', 'event/list', 'gpu/get', 'gpu/list', 'image/list'],
  ...['instance/get', 'instance/list', 'instance/logs', 'instance/start', 'instance/stop'],
  ...['model/list', 'node/get', 'node/list', 'node/pending', 'quota/list', 'quota/status', 'runtime/list'],
  ...['site/list', 'spec/list', 'status', 'storage/pool/list', 'task/get', 'task/list', 'token/list', 'user/list'],
  ...['version', 'whoami'],
]

/** What everyday commands may ask for while they run. */
const alsoLight = ['src/cli/output/table.ts', 'src/client/bytes.ts', 'src/client/tls.ts', 'src/client/transport.ts']

/** What a command that goes well needs of oclif. Its files ask for others when something goes wrong, or for help. */
const oclifInLight = [
  ...['args', 'cache', 'command', 'flags', 'logger', 'parser/index', 'parser/parse', 'parser/validate'].map(lib),
  ...['util/aggregate-flags', 'util/util'].map(lib),
  '@oclif/core/package.json',
]

function lib(name) {
  return `@oclif/core/lib/${name}.js`
}

/** Builds both bundles. `names`: all files of src/commands; `entry` makes an entry point of a text. */
export async function buildTiers({build, options, names, entry, root}) {
  const isLight = name => everyday.includes(name)
  const lightEntry = asked =>
    entry('light', `${tableOf(names, isLight)}export {run} from './src/cli/entry.ts'\n${modulesOf(asked)}`)
  const {light, rest} = await findTiers(build, {...options, ...lightEntry(alsoLight)}, root)
  const asked = new Set(alsoLight)
  const table = tableOf(names.filter(name => !isLight(name)))
  const cli = await build({
    ...options,
    ...entry('cli', `${table}export {variableOf} from './src/cli/variables.ts'\n${modulesOf(rest)}`),
    plugins: [inBundle('light', light, root, asked), ...options.plugins],
  })
  return [
    cli,
    await build({...options, ...lightEntry(asked), plugins: [inBundle('cli', rest, root), ...options.plugins]}),
  ]
}

/** What the everyday commands import at once, and what they ask for while they run: paths from the root. */
async function findTiers(build, options, root) {
  const asked = new Set()
  const cut = {
    name: 'cut',
    setup(its) {
      onFiles(its, root, (path, kind) => {
        if (kind !== 'dynamic-import' && !isRestOfLibraries(path)) return undefined
        asked.add(path)
        return {path, external: true}
      })
    },
  }
  const {metafile} = await build({...options, plugins: [cut, ...options.plugins], metafile: true})
  const light = new Set(
    Object.keys(metafile.inputs)
      .filter(isFile)
      .map(path => relative(root, path.replace(/^ours:/, ''))),
  )
  return {light, rest: new Set([...asked].filter(path => !light.has(path)))}
}

/** These modules are asked of that bundle; `asked` is told which ones are. */
const inBundle = (bundle, modules, root, asked = new Set()) => ({
  name: `in-${bundle}`,
  setup(its) {
    onFiles(its, root, path => {
      if (!modules.has(path)) return undefined
      asked.add(path)
      return {path, namespace: bundle}
    })
    its.onLoad({filter: /.*/, namespace: bundle}, ({path}) => ({
      contents: `module.exports = require('./${bundle}.cjs').module(${JSON.stringify(path)})`,
      resolveDir: root,
    }))
  },
})

/** `ids`, and a function that loads the command of one of them; those that are not here are asked of cli.cjs. */
function tableOf(names, isHere = () => true) {
  const idOf = name => name.replaceAll('/', ':')
  const here = names.filter(isHere)
  const otherwise = here.length < names.length ? "require('./cli.cjs').command(key)" : 'undefined'
  const cases = here.map(name => [idOf(name), `require('./src/commands/${name}.ts').default`])
  return `export const ids = ${JSON.stringify(names.map(idOf).join(' '))}.split(' ')\n${choice('command', cases, otherwise)}`
}

/** What the other bundle may ask of this one. */
function modulesOf(paths) {
  const cases = [...paths].sort().map(path => [path, `require('./${path}')`])
  return choice('module', cases, 'undefined')
}

/** One function and no object of many: nothing is made at a start but what is asked for. */
function choice(name, cases, otherwise) {
  const lines = cases.map(([key, value]) => `    case ${JSON.stringify(key)}: return ${value}\n`)
  return `function ${name}$(key: string): unknown {\n  switch (key) {\n${lines.join('')}    default: return ${otherwise}\n  }\n}\nexport {${name}$ as ${name}}\n`
}

/** Calls back for every file that is imported, with its path from the root and the kind of the import. */
function onFiles({onResolve, resolve}, root, answer) {
  onResolve({filter: /^[.@\w]/}, async ({path, kind, importer, resolveDir, namespace, pluginData}) => {
    if (pluginData === 'resolved' || kind === 'entry-point') return undefined
    const found = await resolve(path, {kind, importer, resolveDir, namespace, pluginData: 'resolved'})
    if (found.errors.length > 0 || found.external || !['file', 'ours'].includes(found.namespace)) return undefined
    return answer(relative(root, found.path).replaceAll(sep, '/'), kind)
  })
}

/** Of other packages than oclif, nothing. */
function isRestOfLibraries(path) {
  const [, file] = /node_modules\/(.*)$/.exec(path) ?? []
  return file !== undefined && !oclifInLight.includes(file)
}

/** Not what the build itself writes: the entry, and the virtual module for oclif. */
function isFile(path) {
  return !path.endsWith('-entry.ts') && !path.startsWith('oclif:')
}
