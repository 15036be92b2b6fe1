#!/usr/bin/env node
// Kept tiny, and CommonJS on purpose: an ES module as entry costs a fifth of Node's own start.
const {existsSync, writeSync} = require('node:fs')
const {join} = require('node:path')
const {pathToFileURL} = require('node:url')

/** Same as in package.json (a test compares); a constant, so that `--version` reads no file. */
const version = '0.1.0'

const argv = process.argv.slice(2)
const entry = join(__dirname, '..', 'dist', 'cli', 'entry.js')

if (argv.length === 1 && ['--version', '-V', 'version'].includes(argv[0])) {
  writeSync(1, `gpuctl/${version} ${process.platform}-${process.arch} node-${process.version}\n`)
} else if (existsSync(entry)) {
  import(pathToFileURL(entry)).then(({run}) => run(argv))
} else {
  writeSync(2, `gpuctl is not built: ${entry} is missing.\nRun \`npm run build\` first.\n`)
  process.exitCode = 1
}
