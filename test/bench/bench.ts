import {mkdtemp, rm} from 'node:fs/promises'
import {cpus, tmpdir} from 'node:os'
import {join, resolve} from 'node:path'
import type {Measurement, Row, RowContext} from './row.ts'
import {cli} from './rows/cli.ts'
import {heartbeats} from './rows/heartbeats.ts'
import {inference} from './rows/inference.ts'
import {logs} from './rows/logs.ts'
import {nextStart} from './rows/next-start.ts'
import {placement} from './rows/placement.ts'
import {sim} from './rows/sim.ts'
import {sse} from './rows/sse.ts'
import {ssh} from './rows/ssh.ts'
import {start} from './rows/start.ts'
import {submit} from './rows/submit.ts'
import {transfer} from './rows/transfer.ts'
import {markdownTable, printMeasurement} from './table.ts'

const rows: readonly Row[] = [
  cli,
  submit,
  heartbeats,
  placement,
  nextStart,
  sse,
  inference,
  logs,
  transfer,
  ssh,
  sim,
  start,
]
const flags = ['--quick', '--markdown', '--strict']

const program =
  process.argv.find(argument => argument.startsWith('--program='))?.slice('--program='.length) ?? 'bin/run.js'
const names = process.argv.slice(2).filter(argument => !argument.startsWith('--'))
const unknown = [
  ...names.filter(name => !rows.some(row => row.name === name)),
  ...process.argv.slice(2).filter(argument => /^--(?!program=)/.test(argument) && !flags.includes(argument)),
]
if (unknown.length > 0) {
  console.error(
    `Unknown: ${unknown.join(', ')}. Rows: ${rows.map(({name}) => name).join(', ')}. Flags: ${flags.join(', ')}, --program=PATH.`,
  )
  process.exit(2)
}
await main(rows.filter(({name}) => names.length === 0 || names.includes(name)))

/** Ends with 1 when a row could not be run, and with --strict also when a budget was missed. */
async function main(chosen: readonly Row[]): Promise<void> {
  const has = (flag: string) => process.argv.includes(flag)
  console.log(
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}${has('--quick') ? ', quick' : ''}\n`,
  )
  const results: {row: string; measurement: Measurement}[] = []
  const failed: string[] = []
  for (const row of chosen) {
    try {
      for (const measurement of await measure(row, has('--quick'))) {
        results.push({row: row.name, measurement})
        printMeasurement(row.name, measurement)
      }
    } catch (error) {
      failed.push(row.name)
      console.log(`${row.name}: FAILED\n  ${error instanceof Error ? (error.stack ?? error.message) : error}\n`)
    }
  }
  if (has('--markdown')) console.log(markdownTable(results))
  const count = (verdict: Measurement['verdict']) =>
    results.filter(({measurement}) => measurement.verdict === verdict).length
  console.log(
    `${count('met')} met, ${count('missed')} missed, ${count('unmeasured')} not measured, ${failed.length} failed`,
  )
  process.exitCode = failed.length > 0 || (has('--strict') && count('missed') > 0) ? 1 : 0
}

async function measure(row: Row, quick: boolean): Promise<Measurement[]> {
  const folder = await mkdtemp(join(tmpdir(), `gpuctl-bench-${row.name}-`))
  const ends: (() => unknown)[] = [() => rm(folder, {recursive: true, force: true})]
  const clean = async () => {
    for (let act = ends.pop(); act; act = ends.pop())
      await Promise.resolve()
        .then(act)
        .catch(error => console.error(String(error)))
  }
  const interrupt = () => void clean().finally(() => process.exit(130))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const context: RowContext = {
    quick,
    program: resolve(program),
    folder,
    progress: text => process.stderr.write(`  … ${row.name}: ${text}\n`),
    atEnd: act => ends.push(act),
  }
  try {
    return await row.measure(context)
  } finally {
    await clean()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}
