#!/usr/bin/env node
// Stands in for nvidia-smi: `fake-nvidia-smi.mjs STATE.json ARGUMENTS…`. STATE.json names a capture of test/fixtures/nvidia-smi
// (or a .txt in the exporter's format) and how the tool behaves now; it is read at each call, so a test can change it in
// between. Each call appends its arguments and pid to STATE.json.log.
import {appendFileSync, readFileSync} from 'node:fs'

const [statePath, ...args] = process.argv.slice(2)
const state = JSON.parse(readFileSync(statePath, 'utf8'))
appendFileSync(`${statePath}.log`, `${JSON.stringify({pid: process.pid, args})}\n`)

const capture = state.capture && readCapture(state.capture, state.phase ?? 'idle')
const query = args.find(arg => arg.startsWith('--query-gpu='))?.slice('--query-gpu='.length)

if (state.hang) {
  if (state.hang === 'ignoring TERM') process.on('SIGTERM', () => {})
  setInterval(() => {}, 60_000)
} else if (state.says !== undefined) {
  process.stdout.write(state.says)
  process.exitCode = state.exit ?? 0
} else if (query) {
  answerQuery(query.split(','))
} else if (args[0] === '-L') {
  console.log(capture.list.filter((_, line) => !(state.hiddenListLines ?? []).includes(line)).join('\n'))
} else {
  console.log("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n")
  process.exitCode = 1
}

function answerQuery(wanted) {
  const refused = wanted.find(field => !capture.fields.includes(field) || state.unsupportedFields?.includes(field))
  if (refused) {
    console.log(`Field "${refused}" is not a valid field to query.\n`)
    process.exitCode = 2
    return
  }
  for (const row of capture.rows) {
    const cell = field => row[capture.fields.indexOf(field)]
    if (state.hiddenCards?.includes(cell('index'))) continue
    if (state.lostCard === cell('index')) {
      console.log(
        `Unable to determine the device handle for GPU${cell('pci.bus_id')}: GPU is lost.  Reboot the system to recover this GPU`,
      )
      process.exitCode = 15
      continue
    }
    console.log(wanted.map(cell).join(', '))
  }
}

function readCapture(path, phase) {
  const text = readFileSync(path, 'utf8')
  if (path.endsWith('.json')) return JSON.parse(text)
  const section = (title, command) => {
    const start = text.indexOf(`# $ nvidia-smi ${command}`, text.indexOf(`# ${title}`))
    const body = text.slice(text.indexOf('\n####', start)).split('\n').slice(2)
    return {
      command: text.slice(start, text.indexOf('\n', start)),
      lines: body.slice(
        0,
        body.findIndex(line => line.startsWith('####')),
      ),
    }
  }
  const {command, lines} = section(`${phase} :: query-gpu (csv`, '--query-gpu=')
  const [, ...rows] = lines.filter(Boolean)
  const bare = cell => cell.replace(/ (MiB|W|MHz|%|us|ms)$/, '')
  return {
    fields: /--query-gpu=(\S+)/.exec(command)[1].split(','),
    rows: rows.map(row => row.split(', ').map(bare)),
    list: section('capabilities :: list (-L)', '-L').lines.filter(Boolean),
  }
}
