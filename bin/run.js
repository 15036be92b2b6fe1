#!/usr/bin/env node
// Kept tiny, and CommonJS on purpose: an ES module as entry costs a fifth of Node's own start.
const {existsSync, fstatSync, readFileSync, writeSync} = require('node:fs')
const {join} = require('node:path')

/** Same as in package.json (a test compares); a constant, so that `--version` reads no file. */
const version = '0.1.0'

const argv = process.argv.slice(2)
const bundle = join(__dirname, '..', 'dist', 'bundle', 'light.cjs')
const help = join(__dirname, '..', 'dist', 'bundle', 'help.txt')

if (argv.length === 1 && ['--version', '-V'].includes(argv[0])) {
  writeSync(1, `gpuctl/${version} ${process.platform}-${process.arch} node-${process.version}\n`)
} else if (argv.length === 1 && ['--help', '-h', 'help'].includes(argv[0]) && isPlain() && existsSync(help)) {
  writeSync(1, readFileSync(help))
} else if (argv[0] === '__complete') {
  const complete = join(__dirname, '..', 'dist', 'cli', 'complete.cjs')
  if (existsSync(complete)) require(complete).main(argv.slice(1), __filename)
} else if (existsSync(bundle)) {
  const use = () => require('../dist/bundle/front.cjs').useOf(argv)
  const {run, ids, command} = require('./load.js').load('light', use, guess())
  run(argv, {ids, command}, {version, root: join(__dirname, '..')})
} else {
  writeSync(2, `gpuctl is not built: ${bundle} is missing.\nRun \`npm run build\` first.\n`)
  process.exitCode = 1
}

/** The command in most cases, found without a look at what there is: the first two words. */
function guess() {
  if (argv.includes('--help') || argv.includes('-h')) return undefined
  const end = argv.slice(0, 2).findIndex(word => !/^[a-z][a-z-]*$/.test(word))
  return argv.slice(0, end < 0 ? 2 : end).join(':')
}

/** Nobody sees colours or another width than 80: no terminal, and nothing asks for them. `node:tty` takes 2 ms to load. */
function isPlain() {
  const asked = ['CLICOLOR_FORCE', 'COLUMNS', 'FORCE_COLOR', 'GPUCTL_FORCE_TTY'].some(name => process.env[name])
  const stdout = fstatSync(1)
  const isNull = stdout.rdev === 0x103
  return !asked && (isNull || !stdout.isCharacterDevice())
}
