import {join} from 'node:path'
import {startPostgres} from '../../support/postgres.ts'
import {unmet} from '../../support/skips.ts'
import {median, percentile, round} from '../figures.ts'
import {type Measurement, type Row, type RowContext, unmeasured, verdict} from '../row.ts'
import {ServerProcess} from '../server-process.ts'
import {WorkerProcess} from '../worker-process.ts'
import type {LoadJob, LoadResult} from '../workers/closed-loop-load.ts'
import type {RawClaimsJob} from '../workers/raw-claims-server.ts'

const clients = 32
type Load = WorkerProcess<LoadJob, LoadResult>

/** P8: how many durable submits a second, and how long one takes. */
export const submit: Row = {
  name: 'submit',
  budgets: 'P8',
  async measure(context) {
    const load: Load = new WorkerProcess('closed-loop-load')
    context.atEnd(() => load.stop())
    const pairs = context.quick ? 1 : 3
    const forMs = context.quick ? 1_500 : 6_000
    return [await onSqlite(context, load, pairs, forMs), await onPostgres(context, load, pairs, forMs)]
  },
}

async function onSqlite(context: RowContext, load: Load, pairs: number, forMs: number): Promise<Measurement> {
  const raw = new WorkerProcess<RawClaimsJob, {port: number}>('raw-claims-server')
  context.atEnd(() => raw.stop())
  const {port} = await raw.run({file: join(context.folder, 'raw.db'), commits: 'group'})
  const server = await ServerProcess.start({program: context.program, data: join(context.folder, 'sqlite')})
  context.atEnd(() => server.stop())
  const {bare, ours} = await inPairs(load, pairs, forMs, port, server)
  return {
    what: `durable claim submits, SQLite, ${clients} clients`,
    baseline: `${round(bare.perSecond)}/s, p99 ${round(bare.p99)} ms: node:http + SQLite FULL, group commit, same rows, no checks`,
    ours: `${round(ours.perSecond)}/s, p99 ${round(ours.p99)} ms`,
    ratio: ours.perSecond / bare.perSecond,
    budget: '≥ 1,500/s, p99 ≤ 50 ms',
    verdict: verdict(ours.perSecond >= 1500 && ours.p99 <= 50, context),
  }
}

async function onPostgres(context: RowContext, load: Load, pairs: number, forMs: number): Promise<Measurement> {
  const what = `durable claim submits, PostgreSQL (fsync on), ${clients} clients`
  const missing = unmet('postgres')
  if (missing) return unmeasured(what, '≥ 600/s', missing)
  const postgres = await startPostgres({fsync: true})
  context.atEnd(() => postgres.stop())
  const raw = new WorkerProcess<RawClaimsJob, {port: number}>('raw-claims-server')
  context.atEnd(() => raw.stop())
  const {port} = await raw.run({file: join(context.folder, 'raw-single.db'), commits: 'single'})
  const database = await postgres.createDatabase()
  const server = await ServerProcess.start({program: context.program, data: join(context.folder, 'postgres'), database})
  context.atEnd(() => server.stop())
  const {bare, ours} = await inPairs(load, pairs, forMs, port, server)
  return {
    what,
    baseline: `${round(bare.perSecond)}/s, p99 ${round(bare.p99)} ms: node:http + SQLite FULL, one commit each, same rows, no checks`,
    ours: `${round(ours.perSecond)}/s, p99 ${round(ours.p99)} ms`,
    ratio: ours.perSecond / bare.perSecond,
    budget: '≥ 600/s',
    verdict: verdict(ours.perSecond >= 600, context),
  }
}

/** Bare and ours in turn; of the rates the middle, of the slow ends the worst. */
async function inPairs(load: Load, pairs: number, forMs: number, barePort: number, server: ServerProcess) {
  const results = {bare: [] as LoadResult[], ours: [] as LoadResult[]}
  const job: LoadJob = {port: 0, kind: 'claims', tokens: [server.token], connections: clients, forMs, everyMs: 0}
  await load.run({...job, port: server.port, forMs: 500})
  for (let pair = 0; pair < pairs; pair++) {
    results.bare.push(await load.run({...job, port: barePort}))
    results.ours.push(await load.run({...job, port: server.port}))
  }
  const refused = results.ours.flatMap(({refused}) => Object.keys(refused))
  if (refused.length > 0) throw new Error(`Submits were refused: ${refused[0]}`)
  const summary = (list: LoadResult[]) => ({
    perSecond: median(list.map(({perSecond}) => perSecond)),
    p99: percentile(
      list.map(({latencyMs}) => latencyMs.p99),
      1,
    ),
  })
  return {bare: summary(results.bare), ours: summary(results.ours)}
}
