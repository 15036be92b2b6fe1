import {readFileSync} from 'node:fs'
import {median, round} from '../figures.ts'
import {type Measurement, type Row, type RowContext, unmeasured, verdict} from '../row.ts'
import type {ServerProcess} from '../server-process.ts'
import {serverWithNodes} from '../stored-nodes.ts'
import {cpuWhile, memoryMiB} from '../usage.ts'
import {WorkerProcess} from '../worker-process.ts'
import type {LoadJob, LoadResult} from '../workers/closed-loop-load.ts'
import type {RawBeatsJob} from '../workers/raw-beats-server.ts'

type Load = WorkerProcess<LoadJob, LoadResult>
const beatEveryMs = 5_000

/** P4: CPU of one beat against plain node:http. P6: ten thousand nodes at their own pace. */
export const heartbeats: Row = {
  name: 'heartbeats',
  budgets: 'P4, P6',
  async measure(context) {
    const {quick} = context
    const nodes = quick ? 100 : 10_000
    const {server, keys} = await serverWithNodes(context, 'data', nodes)
    const load: Load = new WorkerProcess('closed-loop-load')
    context.atEnd(() => load.stop())
    return [await costOfOne(context, server, keys, load), await atTheirPace(context, server, keys, load)]
  },
}

async function costOfOne(context: RowContext, server: ServerProcess, keys: string[], load: Load): Promise<Measurement> {
  const raw = new WorkerProcess<RawBeatsJob, {port: number}>('raw-beats-server')
  context.atEnd(() => raw.stop())
  const {port} = await raw.run({keys})
  const forMs = context.quick ? 1_500 : 5_000
  const job: LoadJob = {port, kind: 'beats', tokens: keys, connections: 64, forMs, everyMs: 0}
  const once = async (pid: number, at: number) => {
    const {result, cpuMs} = await cpuWhile(pid, () => load.run({...job, port: at}))
    const refused = Object.keys(result.refused)
    if (refused.length > 0) throw new Error(`Beats were refused: ${refused[0]}`)
    return {us: (cpuMs * 1000) / result.answered, perSecond: result.perSecond}
  }
  await once(server.pid, server.port)
  await once(raw.pid, port)
  const bare: {us: number; perSecond: number}[] = []
  const ours: {us: number; perSecond: number}[] = []
  for (let pair = 0; pair < (context.quick ? 1 : 5); pair++) {
    bare.push(await once(raw.pid, port))
    ours.push(await once(server.pid, server.port))
  }
  const middle = (list: {us: number; perSecond: number}[]) =>
    `${round(median(list.map(({us}) => us)))} µs of CPU, ${round(median(list.map(({perSecond}) => perSecond)))}/s`
  const ratio = median(ours.map(({us}) => us)) / median(bare.map(({us}) => us))
  return {
    what: 'one heartbeat over HTTP, 64 connections',
    baseline: `${middle(bare)}: node:http with the same checks`,
    ours: middle(ours),
    ratio,
    budget: 'CPU ≤ 1.35 ×',
    verdict: verdict(ratio <= 1.35, context),
  }
}

async function atTheirPace(
  context: RowContext,
  server: ServerProcess,
  keys: string[],
  load: Load,
): Promise<Measurement> {
  const what = `${keys.length} nodes, one beat in 5 s each, own connections`
  const budget = '≤ 20 % of a core, p99 ≤ 50 ms, ≤ 250 MB'
  const needed = Math.ceil(keys.length * 1.4)
  if (descriptorLimit() < needed) return unmeasured(what, budget, `needs ${needed} open files (ulimit -n)`)
  const forMs = context.quick ? 6_000 : 40_000
  const job: LoadJob = {
    port: server.port,
    kind: 'beats',
    tokens: keys,
    connections: keys.length,
    forMs,
    everyMs: beatEveryMs,
  }
  context.progress(`${keys.length} nodes beat for ${forMs / 1000} s`)
  const {result, percent} = await cpuWhile(server.pid, () => load.run(job))
  const refused = Object.keys(result.refused)
  if (refused.length > 0) throw new Error(`Beats were refused: ${refused[0]}`)
  const {now} = memoryMiB(server.pid)
  const {p50, p99} = result.latencyMs
  return {
    what,
    baseline: '–',
    ours: `${round(percent)} % of a core, p50 ${round(p50)} ms, p99 ${round(p99)} ms, ${round(now)} MiB`,
    ratio: undefined,
    budget,
    verdict: verdict(percent <= 20 && p99 <= 50 && now * 1.048576 <= 250, context),
  }
}

function descriptorLimit(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024)
}
