import {cp, readFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'

/** oclif's files ask for one another when they are loaded; here each is loaded at its first use. */
export const lateOclif = {
  name: 'late-oclif',
  setup({onLoad}) {
    const load = /^(?:const|var) (\w+) = ((?:__import(?:Default|Star)\()?require\("[^"]+"\)\)?);$/gm
    const handOn = /^exports\.(\w+) = (__import(?:Default|Star)\(require\("[^"]+"\)\));$/gm
    onLoad({filter: /@oclif\/core\/lib\/.*\.js$/}, async ({path}) => {
      const text = await readFile(path, 'utf8')
      const use = (code, [, name, call]) =>
        code.replace(new RegExp(`(?<![\\w.'"$])${name}\\b(?!['":])`, 'g'), () => `(${call})`)
      const contents = [...text.matchAll(load)]
        .reduce(use, text.replace(load, ''))
        .replace(handOn, 'Object.defineProperty(exports, "$1", {enumerable: true, get: () => $2});')
        // It compares versions with a library; bin/run.js says which Node it needs.
        .replace(/^checkNodeVersion\(\);$/m, '')
      return {contents, loader: 'js'}
    })
  },
}

/** The Docker client loads gRPC and ssh2 for two things that are rarely asked of it: these are loaded at the first call. */
export const lateDockerode = {
  name: 'late-dockerode',
  setup({onLoad}) {
    onLoad({filter: /\/(dockerode\/lib\/session|docker-modem\/lib\/ssh)\.js$/}, async ({path}) => ({
      contents: `let made
module.exports = (...args) => (made ??= make())(...args)
function make() {
  const module = {exports: {}}
  ${await readFile(path, 'utf8')}
  return module.exports
}`,
    }))
  },
}

/**
 * Of oclif the commands need three files. Its help, and with it the rest of oclif, is loaded with the other libraries.
 */
export const lightOclif = {
  name: 'light-oclif',
  setup({onResolve, onLoad}) {
    onResolve({filter: /^@oclif\/core$/}, ({resolveDir}) => ({
      path: '@oclif/core',
      namespace: 'oclif',
      pluginData: resolveDir,
    }))
    onLoad({filter: /.*/, namespace: 'oclif'}, ({pluginData}) => ({
      contents: ['Args', 'Command', 'Flags'].map(handOn).join('\n'),
      resolveDir: pluginData,
    }))
    onLoad({filter: /@oclif\/core\/package\.json$/}, async ({path}) => {
      const {name, version} = JSON.parse(await readFile(path, 'utf8'))
      return {contents: JSON.stringify({name, version}), loader: 'json'}
    })
    const handOn = name => {
      const file = `"@oclif/core/${name.toLowerCase()}"`
      return name === 'Command' ? `export {Command} from ${file}` : `import * as ${name} from ${file}\nexport {${name}}`
    }
  },
}

/** What is done for each route at the end of the routes is done for all of them in one go. */
const together = `const waiting = new WeakMap()
function together(key, begin, work) {
  const works = waiting.get(key)
  if (works) return void works.push(work)
  const all = [work]
  waiting.set(key, all)
  begin(() => {
    waiting.delete(key)
    for (const one of all) one()
  })
}
`

/** What the commands load by `await import()` – libraries, and the half with the server and the agent – is in bundles apart. */
export const halvesApart = (libraries, isExternal, compile) => ({
  name: 'halves-apart',
  setup({onResolve, onLoad}) {
    const main = /await import\('(?:\.\.\/)+main\/([\w-]+)\.ts'\)/g
    const library = /await import\('((?:@[\w-]+\/)?[a-z][\w-]*)'\)/g
    // Not as files: a .ts of this package would be taken for an ES module.
    onResolve({filter: /^\.{1,2}\/.*\.ts$/}, ({path, resolveDir}) => ({
      path: join(resolveDir, path),
      namespace: 'ours',
    }))
    onLoad({filter: /.*/, namespace: 'ours'}, async ({path}) => {
      const text = await readFile(path, 'utf8')
      const contents = text
        .replace(main, (_, name) => `require('./main.cjs').modules['${name}']()`)
        .replace(library, (all, name) => {
          if (isExternal(name)) return all
          libraries.add(name)
          return `await require('./libraries.cjs').modules['${name}']()`
        })
      return {contents: await compile(contents, path), loader: 'js', resolveDir: dirname(path)}
    })
  },
})

const packagesWithFiles = {'@fastify/swagger-ui': 'static', 'svg-captcha': 'fonts'}

/** Packages that read files of their own find copies of them in dist/assets. */
export const filesBeside = (root, dist) => ({
  name: 'files-beside',
  setup({onLoad, onEnd}) {
    const names = Object.keys(packagesWithFiles)
    onLoad({filter: new RegExp(`node_modules/(${names.join('|')})/.*\\.js$`)}, async ({path}) => {
      const place = dirname(path).split('/node_modules/').at(-1)
      const text = await readFile(path, 'utf8')
      const here = `require("node:path").join(__dirname, "../assets", ${JSON.stringify(place)})`
      return {contents: text.replaceAll('__dirname', () => here)}
    })
    onEnd(async () => {
      for (const [name, folder] of Object.entries(packagesWithFiles)) {
        const to = join(dist, 'assets', name, folder)
        await cp(join(root, 'node_modules', name, folder), to, {recursive: true, preserveTimestamps: true})
      }
    })
  },
})

/**
 * Fastify, its router and its logger without what makes up a tenth of the server's start and is of no use here: functions compiled for
 * each piece of a path and each set of parameters are closures that do the same, those for each route's constraints are
 * compiled at their first call; what the server seldom needs is loaded where it does; and no route is looked up for HEAD
 * routes that are not made.
 */
export const leanFastify = {
  name: 'lean-fastify',
  setup({onLoad}) {
    const patches = {
      'find-my-way/lib/node.js': [
        [
          / {2}const lines = \[\]\n {2}for \(let i = 1;[\s\S]*?return new Function\('path', 'i', .*\n/,
          '  return (path, i) => path.startsWith(prefix, i)\n',
        ],
      ],
      'find-my-way/lib/handler-storage.js': [
        [
          / {4}const fnBody = \["'use strict'"\]\n[\s\S]*?return new Function\('NullObject', .*\n/,
          `    return (first, second, third, fourth, others) => {
      const values = [first, second, third, fourth]
      const object = new NullObject()
      for (let i = 0; i < params.length; i++) object[params[i]] = i < 4 ? values[i] : others[i - 4]
      return object
    }\n`,
        ],
        [
          / {4}this\._getHandlerMatchingConstraints = new Function\('derivedConstraints', .*\n/,
          `    this._getHandlerMatchingConstraints = given => {
      this._getHandlerMatchingConstraints = new Function('derivedConstraints', lines.join('\\n'))
      return this._getHandlerMatchingConstraints(given)
    }\n`,
        ],
      ],
      'fastify/lib/server.js': [...late('https', 'node:https'), ...late('http2', 'node:http2')],
      'fastify/lib/plugin-utils.js': late('semver', 'semver'),
      'fastify/lib/schema-controller.js': [
        ["const SerializerSelector = require('@fastify/fast-json-stringify-compiler')", 'let made'],
        [
          'compilersFactory.buildSerializer = SerializerSelector()',
          `compilersFactory.buildSerializer = (...given) =>
      (made ??= require('@fastify/fast-json-stringify-compiler')())(...given)`,
        ],
      ],
      'pino/lib/transport.js': late('ThreadStream', 'thread-stream'),
      'pino/lib/tools.js': [
        ["const { isMainThread } = require('worker_threads')\n", ''],
        ['&& isMainThread', "&& require('worker_threads').isMainThread"],
      ],
      'fastify/lib/route.js': [
        [/const headHandler = (?=router\.findRoute)/, 'const headHandler = !shouldExposeHead ? null : '],
        ['function buildRouting (', `${together}function buildRouting (`],
        [
          'this.after((notHandledErr, done) => {',
          'together(this, run => this.after((error, done) => (run(), done(error))), () => {',
        ],
        ["avvio.once('preReady', () => {", "together(avvio, run => avvio.once('preReady', run), () => {"],
        [/\n +done\(notHandledErr\)/, ''],
      ],
    }
    for (const [file, changes] of Object.entries(patches)) patch(onLoad, file, changes)
  },
}

/** SQLite's package finds its native part without Node's search for packages, which takes a while. */
export const foundSqlite = {
  name: 'found-sqlite',
  setup({onLoad}) {
    const finder = `folderOfSqlite();
function folderOfSqlite(at = getDirname()) {
  const above = path.dirname(at)
  const folder = path.join(at, 'node_modules', '@photostructure', 'sqlite')
  if (require('node:fs').existsSync(folder)) return path.join(folder, 'dist')
  if (above === at) throw new Error('The package @photostructure/sqlite is not installed.')
  return folderOfSqlite(above)
}
`
    patch(onLoad, '@photostructure/sqlite/dist/index.mjs', [['/* @__PURE__ */ getDirname();\n', finder]])
  },
}

/** A module that is loaded where the file first uses it. */
function late(name, module) {
  return [
    [`const ${name} = require('${module}')\n`, ''],
    [new RegExp(`(?<![\\w.{'/-]|// .*|\\* .*)${name}(?=\\.[a-z]|\\()`, 'g'), `(require('${module}'))`],
  ]
}

/** Changes a file of a library; fails where it is not as it was. */
function patch(onLoad, file, changes) {
  onLoad({filter: new RegExp(`/node_modules/${file.replaceAll('.', '\\.')}$`)}, async ({path}) => {
    const text = await readFile(path, 'utf8')
    const contents = changes.reduce((before, [found, instead]) => {
      const after = before.replace(found, () => instead)
      if (after === before) throw new Error(`The build does not know this version of ${file}: ${found}`)
      return after
    }, text)
    return {contents, loader: 'js'}
  })
}
