/**
 * Loads a bundle of dist/bundle, with the machine code that V8 kept of an earlier start of the same command: compiling
 * takes longer than everything else that a command does. The first start leaves it in the user's own cache folder.
 */
const {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} = require('node:fs')
const {join} = require('node:path')
const {Script} = require('node:vm')

const bundles = join(__dirname, '..', 'dist', 'bundle')
const names = new Map(['light', 'cli', 'libraries', 'main'].map(name => [`./${name}.cjs`, name]))
const saveAfterMs = 3_000
const staleAfterMs = 7 * 24 * 60 * 60 * 1000
const loaded = new Map()

/**
 * What the bundle exports. Code is kept for each use by itself: `use` says, or finds out, what the bundle is started for.
 * It need not where there is code for `guess`.
 */
function load(name, use, guess) {
  const before = loaded.get(name)
  if (before) return before.exports
  const file = join(bundles, `${name}.cjs`)
  const source = readFileSync(file, 'latin1')
  const placeOf = what => placeFor(`${name}-${source.slice(2, 18)}`, what)
  let kept = guess ? placeOf(guess) : undefined
  let cachedData = kept && readKept(kept)
  if (!cachedData) {
    kept = placeOf(typeof use === 'function' ? use() : use)
    cachedData = kept && readKept(kept)
  }
  const script = new Script(source, {filename: file, cachedData})
  if (kept && (!cachedData || script.cachedDataRejected)) keepLater(script, kept)
  const module = {exports: {}}
  loaded.set(name, module)
  const ask = Object.assign(id => (names.has(id) ? load(names.get(id), use, guess) : require(id)), require)
  script.runInThisContext().call(module.exports, module.exports, ask, module, file, bundles)
  return module.exports
}

/** V8 takes compiled code only from the same Node under the same options, so these are part of the name. */
function placeFor(bundle, use) {
  const {GPUCTL_CACHE_DIR, XDG_CACHE_HOME, HOME, NODE_OPTIONS = '', NODE_DISABLE_COMPILE_CACHE} = process.env
  const folder =
    GPUCTL_CACHE_DIR || ((XDG_CACHE_HOME || HOME) && join(XDG_CACHE_HOME || join(HOME, '.cache'), 'gpuctl'))
  if (!folder || NODE_DISABLE_COMPILE_CACHE) return undefined
  const options = hashOf([...process.execArgv, NODE_OPTIONS].join(' '))
  const name = [bundle, process.version, process.arch, options, use.replace(/[: ]/g, '.')].join('-')
  return {folder: join(folder, 'code'), name}
}

/** Undefined unless the file and its folder are this user's and nobody else can write them: it is run as code. */
function readKept({folder, name}) {
  let file
  try {
    if (!isOurs(lstatSync(folder))) return undefined
    file = openSync(join(folder, name), 'r')
    return isOurs(fstatSync(file)) ? readFileSync(file) : undefined
  } catch {
    return undefined
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

function isOurs({uid, mode}) {
  return process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o022) === 0)
}

/** At the end, when V8 has compiled all that this use needs; of a program that stays, soon after its start. */
function keepLater(script, place) {
  const timer = setTimeout(keep, saveAfterMs)
  timer.unref()
  process.once('exit', keep)
  function keep() {
    clearTimeout(timer)
    process.off('exit', keep)
    try {
      write(place, script.createCachedData())
    } catch {
      // A full disk, or a folder that is not to be written: the next start is slow again, and no more than that.
    }
  }
}

function write({folder, name}, code) {
  mkdirSync(folder, {recursive: true, mode: 0o700})
  if (!isOurs(lstatSync(folder))) return
  for (const other of readdirSync(folder)) {
    const path = join(folder, other)
    if (Date.now() - statSync(path).mtimeMs > staleAfterMs) unlinkSync(path)
  }
  const temporary = join(folder, `${name}.${process.pid}.tmp`)
  writeFileSync(temporary, code, {mode: 0o600})
  renameSync(temporary, join(folder, name))
}

/** FNV-1a: nothing secret hangs on it, and `node:crypto` takes a while to load. */
function hashOf(text) {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0
  return hash.toString(16)
}

module.exports = {load}
