/**
 * Connects many simulated nodes to a server, for benches and trials:
 * `npm run sim -- --nodes 1000 --gpus 8 --server http://127.0.0.1:8888 --token-file FILE [--beat 5s] [--name PREFIX]`.
 * FILE holds a join token. Ends on Ctrl-C, or when all nodes were refused (status 1).
 */
import {readFile} from 'node:fs/promises'
import {parseArgs} from 'node:util'
import loader from '../bin/load.js'

const {load} = loader

const usage = 'npm run sim -- --nodes N --gpus N|8xH100 --server URL --token-file FILE [--beat 5s] [--name PREFIX]'
const beginMs = performance.now()

try {
  await main(readOptions())
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}

function readOptions() {
  const {values} = parseArgs({
    options: {
      nodes: {type: 'string', default: '10'},
      gpus: {type: 'string', default: '8'},
      server: {type: 'string', default: 'http://127.0.0.1:8888'},
      'token-file': {type: 'string'},
      beat: {type: 'string', default: '10s'},
      name: {type: 'string'},
    },
  })
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(values.beat) ?? []
  const beatMs = Number(number) * (unit === 's' ? 1000 : 1)
  const nodes = Number(values.nodes)
  if (!values['token-file']) throw new Error(`--token-file is missing: a file with a join token.\n${usage}`)
  if (!(beatMs >= 100)) throw new Error(`--beat must be a time such as 5s or 500ms, at least 100ms.\n${usage}`)
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 20_000) throw new Error(`--nodes must be 1 to 20000.\n${usage}`)
  const gpus = /^\d+$/.test(values.gpus) ? Number(values.gpus) : values.gpus
  return {nodes, gpus, server: values.server, tokenFile: values['token-file'], beatMs, namePrefix: values.name}
}

async function main({tokenFile, ...options}) {
  const {simulate} = loadSimulator()
  const joinToken = (await readFile(tokenFile, 'utf8')).trim()
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())

  let latest = {joined: 0, up: 0, refused: 0, detail: ''}
  let printed = ''
  const print = () => {
    const {joined, up, refused, detail} = latest
    const line = `${up} of ${options.nodes} up, ${joined} joined${refused ? `, ${refused} refused` : ''}`
    if (line === printed) return
    printed = line
    const trouble = up < options.nodes && detail ? ` (${detail})` : ''
    console.log(`${((performance.now() - beginMs) / 1000).toFixed(1).padStart(6)} s  ${line}${trouble}`)
  }
  const printing = setInterval(print, 1000)
  const logger = quietLogger()
  try {
    await simulate({
      ...options,
      joinToken,
      logger,
      signal: stop.signal,
      onProgress(progress) {
        latest = {...progress}
        if (progress.up === options.nodes) print()
      },
    })
  } finally {
    clearInterval(printing)
    const seconds = Math.round((performance.now() - beginMs) / 1000)
    const {rss} = process.memoryUsage()
    const cpuSeconds = (process.cpuUsage().user + process.cpuUsage().system) / 1e6
    console.log(
      `${options.nodes} nodes, ${latest.joined} joined, ${latest.refused} refused, in ${seconds} s; ` +
        `${Math.round(rss / 2 ** 20)} MiB, ${cpuSeconds.toFixed(1)} s of CPU.`,
    )
  }
}

function loadSimulator() {
  try {
    return load('main', 'sim').modules.simulator()
  } catch (error) {
    throw error.code === 'ENOENT' ? new Error('Build first: npm run build') : error
  }
}

/** Warnings of a thousand agents are of no use. */
function quietLogger() {
  const say = () => {}
  return {trace: say, debug: say, info: say, warn: say, error: console.error, fatal: console.error}
}
