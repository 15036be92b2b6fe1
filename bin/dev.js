#!/usr/bin/env node
// Builds from the source, then runs it with stack traces that point into src/.
const {spawnSync} = require('node:child_process')
const {join} = require('node:path')

const build = spawnSync(process.execPath, [join(__dirname, '..', 'scripts', 'build.mjs')], {
  stdio: ['ignore', 2, 2],
})
if (build.status !== 0) process.exit(1)
process.setSourceMapsEnabled(true)
require('./run.js')
