/**
 * Makes CommonJS of a module of ours, in which others of ours are loaded at their first use: nothing of a module that a
 * command does not come to is run, and V8 keeps no code of it. Ours do nothing when they are loaded, so none misses that.
 */
export const lateModules = (transform, define) => async (text, path) => {
  const {code} = await transform(text, {
    define,
    loader: 'ts',
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    sourcefile: path,
    sourcemap: 'inline',
    sourcesContent: false,
    supported: {'dynamic-import': false},
  })
  const [helpers = ''] = /^(?:var __\w+ = [\s\S]*?;\n(?=[^\s}]))*/.exec(code) ?? []
  // As many lines as before, for the source map.
  const own = '\n'.repeat(helpers.split('\n').length - 1) + code.slice(helpers.length)
  return late(own).replace(/\b__(export|toCommonJS|toESM)\(/g, '$1$(')
}

/** What stands in front of a bundle of such modules. */
export const helpers = `const define$ = Object.defineProperty;
const export$ = (target, all) => {for (const name in all) define$(target, name, {get: all[name], enumerable: true})};
const toCommonJS$ = target => define$(target, '__esModule', {value: true});
const toESM$ = found => found && found.__esModule ? found : {__proto__: found, default: found};
`

function late(code) {
  const load = /^var (import_\w+) = (require\("\.[^"]+"\));$/gm
  return [...code.matchAll(load)].reduce(
    (text, [, name, call]) => text.replace(new RegExp(`\\b${name}\\b`, 'g'), `(${call})`),
    code.replace(load, ''),
  )
}
