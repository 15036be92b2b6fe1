import {join} from 'node:path'
import {type Offer, place} from '../../../src/domain/placement.ts'
import {Planner, type Waiting} from '../../../src/domain/planner.ts'
import {loadSqlite} from '../../../src/store/sqlite-driver.ts'
import {median, round} from '../figures.ts'
import {gpusPerNode, placementOffer, placementSpec} from '../placement-fleet.ts'
import {type Measurement, type Row, type RowContext, verdict} from '../row.ts'
import {WorkerProcess} from '../worker-process.ts'
import type {QueuePassJob, QueuePassResult} from '../workers/queue-pass.ts'

/** The naive way looks at every node for every claim; some claims show what all would cost. */
const naiveClaims = 20
/** Most placements that the controller binds in one transaction: one pass of its loop. */
const perPass = 250
/** Rows that a placement writes: allocation, its GPUs (two and a half on average), claim, instance, event. */
const rowsPerPlacement = 6.5

/** P9: the whole queue over the whole fleet, in memory and with everything that it writes. */
export const placement: Row = {
  name: 'placement',
  budgets: 'P9',
  async measure(context) {
    const claims = context.quick ? 5_000 : 100_000
    const nodes = context.quick ? 500 : 10_000
    return [inMemory(context, claims, nodes), await withWrites(context, claims, nodes)]
  },
}

function inMemory(context: RowContext, claimCount: number, nodeCount: number): Measurement {
  const startMs = Date.now() - claimCount
  const claims = Array.from({length: claimCount}, (_, index): Waiting => {
    return {id: `claim-${index}`, number: index + 1, createdAtMs: startMs + index, spec: placementSpec(index)}
  })
  const offers = () => Array.from({length: nodeCount}, (_, index) => placementOffer(index))
  const naive = offers()
  const naiveMs = (cpuOf(() => placeNaively(claims.slice(0, naiveClaims), naive)).ms / naiveClaims) * claimCount
  const passes: {ms: number; result: number}[] = []
  for (let pass = 0; pass < (context.quick ? 1 : 5); pass++) {
    const planner = new Planner()
    for (const offer of offers()) planner.setOffer(offer)
    for (const claim of claims) planner.add(claim)
    passes.push(cpuOf(() => passOver(planner)))
  }
  const passMs = median(passes.map(({ms}) => ms))
  return {
    what: `placement of ${inWords(claimCount)} claims on ${inWords(nodeCount)} nodes × ${gpusPerNode} GPUs, in memory`,
    baseline: `${round(naiveMs)} ms: every claim looks at every node (reckoned from ${naiveClaims} claims)`,
    ours: `${round(passMs)} ms of CPU, ${inWords(passes[0]!.result)} placed`,
    ratio: passMs / naiveMs,
    budget: '≤ 100 ms of CPU',
    verdict: verdict(passMs <= 100, context),
  }
}

async function withWrites(context: RowContext, claims: number, nodes: number): Promise<Measurement> {
  const worker = new WorkerProcess<QueuePassJob, QueuePassResult>('queue-pass')
  context.atEnd(() => worker.stop())
  context.progress(`${claims} claims and ${nodes} nodes are written, then placed`)
  const {placed, cpuMs, wallMs, longestBlockMs} = await worker.run({
    file: join(context.folder, 'queue.db'),
    nodes,
    claims,
  })
  const bareMs = await writeBareRows(join(context.folder, 'bare.db'), placed)
  const passMs = cpuMs / Math.max(1, placed / perPass)
  return {
    what: `the same by the server's controller on SQLite, FULL, with all rows that it writes, ${perPass} placements to a pass`,
    baseline: `${round(bareMs)} ms of CPU: bare INSERTs of as many rows (${rowsPerPlacement} a placement), ${perPass} placements to a COMMIT`,
    ours: `${round(cpuMs)} ms of CPU for ${inWords(placed)} placed in ${round(wallMs / 1000)} s: ${round(passMs)} ms a pass; longest block of the event loop ${round(longestBlockMs)} ms`,
    ratio: cpuMs / bareMs,
    budget: '≤ 100 ms of CPU a pass, blocks ≤ 50 ms',
    verdict: verdict(passMs <= 100 && longestBlockMs <= 50, context),
  }
}

function passOver(planner: Planner): number {
  let placed = 0
  while (!planner.isDone) placed += planner.next(Date.now(), {most: perPass}).length
  return placed
}

function placeNaively(claims: readonly Waiting[], offers: readonly Offer[]): number {
  let placed = 0
  for (const {spec} of claims) if ('offer' in place(spec, offers)) placed++
  return placed
}

async function writeBareRows(file: string, placed: number): Promise<number> {
  const DatabaseSync = await loadSqlite()
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE rows (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL)`)
  const insert = database.prepare('INSERT INTO rows (id, body) VALUES (?, ?)')
  const body = JSON.stringify(placementSpec(0))
  const {ms} = cpuOf(() => {
    for (let from = 0; from < placed; from += perPass) {
      database.exec('BEGIN')
      const rows = Math.min(perPass, placed - from) * rowsPerPlacement
      for (let row = 0; row < rows; row++) insert.run(`row-${from}-${row}`, body)
      database.exec('COMMIT')
    }
  })
  database.close()
  return ms
}

function cpuOf<T>(act: () => T): {ms: number; result: T} {
  const before = process.cpuUsage()
  const result = act()
  const {user, system} = process.cpuUsage(before)
  return {ms: (user + system) / 1000, result}
}

function inWords(count: number): string {
  return count.toLocaleString('en-US')
}
