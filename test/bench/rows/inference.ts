import {join} from 'node:path'
import {Api} from '../api.ts'
import {median, round} from '../figures.ts'
import {type Measurement, type Row, type RowContext, verdict} from '../row.ts'
import {ServerProcess} from '../server-process.ts'
import {cpuWhile} from '../usage.ts'
import {WorkerProcess} from '../worker-process.ts'
import type {TokenReadersJob, TokenReadersResult} from '../workers/token-readers.ts'
import type {TokenRuntimeJob} from '../workers/token-runtime.ts'

type Readers = WorkerProcess<TokenReadersJob, TokenReadersResult>
const streams = 64
/** Each reader begins an answer every second, which takes 0.94 s of it. */
const answers = {tokens: 48, everyMs: 20}
const readEveryMs = 1_000

/** P13: 64 streams of tokens through /v1, against the same runtime asked directly. */
export const inference: Row = {
  name: 'inference',
  budgets: 'P13',
  async measure(context) {
    const readers: Readers = new WorkerProcess('token-readers')
    context.atEnd(() => readers.stop())
    const server = await ServerProcess.start({program: context.program, data: join(context.folder, 'data')})
    context.atEnd(() => server.stop())
    const api = new Api(server)
    context.atEnd(() => api.close())
    await api.ok('PUT', '/settings/inference.requests_per_runtime', {body: {value: '128'}})
    const limits = {scopes: ['inference'], concurrency: 1_000}
    const {secret: key} = await api.ok<{secret: string}>('POST', '/tokens', {body: {name: 'bench', ...limits}})
    const short = await startRuntime(context, {api, server}, {model: 'bench-short', tokens: 1, everyMs: 1})
    const long = await startRuntime(context, {api, server}, {model: 'bench-model', ...answers})
    // Some thousand calls, so that what is measured is a server that has been running, not one that compiles its code.
    const warm = {key, beginsMs: Array.from({length: streams}, () => 0), everyMs: 0, unmeasured: 0}
    for (const port of [short.port, server.port]) {
      await readers.run({...warm, port, model: short.model, forMs: context.quick ? 1_000 : 6_000})
    }
    return compare(context, {readers, server, runtime: long, key})
  },
}

interface Runtime {
  model: string
  /** Of its API. */
  port: number
  /** Keeps it online for another minute. */
  beat(): Promise<void>
}

/** A runtime in a process of its own, registered and approved. */
async function startRuntime(
  context: RowContext,
  {api, server}: {api: Api; server: ServerProcess},
  job: TokenRuntimeJob,
): Promise<Runtime> {
  const {model} = job
  const runtime = new WorkerProcess<TokenRuntimeJob, {port: number}>('token-runtime')
  context.atEnd(() => runtime.stop())
  const {port} = await runtime.run(job)
  const registration = await post(server, '/v0/nodes', {
    ...{machine_name: model, ip_address: '127.0.0.1', runtime_version: '1', runtime_port: port - 1},
    ...{gpu_available: true, gpu_devices: [{model: 'none', count: 1}]},
  })
  const {runtime_id, runtime_token} = registration as {runtime_id: string; runtime_token: string}
  await api.ok('POST', `/runtimes/${runtime_id}/approve`, {body: {}})
  const idle = {runtime_id, cpu_usage: 1, memory_usage: 1, active_requests: 0}
  return {model, port, beat: async () => void (await post(server, '/v0/health', idle, {'x-node-token': runtime_token}))}
}

async function post(server: ServerProcess, path: string, body: object, headers = {}): Promise<unknown> {
  const reply = await fetch(server.url + path, {
    method: 'POST',
    headers: {'content-type': 'application/json', ...headers},
    body: JSON.stringify(body),
  })
  if (!reply.ok) throw new Error(`POST ${path}: HTTP ${reply.status} ${await reply.text()}`)
  return reply.json()
}

interface Sides {
  readers: Readers
  server: ServerProcess
  runtime: Runtime
  key: string
}

async function compare(context: RowContext, {readers, server, runtime, key}: Sides): Promise<Measurement[]> {
  const {quick} = context
  const bare: TokenReadersResult[] = []
  const ours: TokenReadersResult[] = []
  const cpu: {percent: number; msAnAnswer: number}[] = []
  for (let pair = 0; pair < (quick ? 1 : 5); pair++) {
    context.progress(`pair ${pair + 1}, ${streams} streams`)
    await runtime.beat()
    // By chance, and the same for both.
    const beginsMs = Array.from({length: streams}, () => Math.random() * readEveryMs)
    // Between two pairs the connections are cut, the runtime's for silence: each stream's first answer makes them anew.
    const job = {key, model: runtime.model, beginsMs, everyMs: readEveryMs, forMs: quick ? 2_500 : 7_000, unmeasured: 1}
    const measured = async (port: number) => {
      const result = await readers.run({...job, port})
      const [failure] = Object.keys(result.failed)
      if (failure) throw new Error(`An answer failed: ${failure}`)
      return result
    }
    bare.push(await measured(runtime.port))
    const {result, percent, cpuMs} = await cpuWhile(server.pid, () => measured(server.port))
    ours.push(result)
    cpu.push({percent, msAnAnswer: cpuMs / result.answers})
  }
  const middle = (all: TokenReadersResult[], of: (one: TokenReadersResult) => number) => median(all.map(of))
  const times = (all: TokenReadersResult[]) =>
    `p50 ${round(middle(all, one => one.firstByteMs.p50))} ms, p99 ${round(middle(all, one => one.firstByteMs.p99))} ms`
  const speed = (all: TokenReadersResult[]) => middle(all, one => one.tokensPerSecond)
  const added = ours.map((one, pair) => one.firstByteMs.p99 - bare[pair]!.firstByteMs.p99)
  const used = `${round(median(cpu.map(one => one.percent)))} % of a core, ${round(median(cpu.map(one => one.msAnAnswer)))} ms an answer`
  const lost = 1 - speed(ours) / speed(bare)
  return [
    {
      what: `time to the first byte, ${streams} streams`,
      baseline: `${times(bare)}: the runtime asked directly`,
      ours: `${times(ours)}: ${round(median(added))} ms added at p99 (least ${round(Math.min(...added))}); ${used}`,
      ratio: undefined,
      budget: '≤ 3 ms added at p99',
      verdict: verdict(median(added) <= 3, context),
    },
    {
      what: `tokens a second, ${streams} streams`,
      baseline: `${round(speed(bare))}/s: the runtime asked directly`,
      ours: `${round(speed(ours))}/s: ${round(lost * 100)} % lost`,
      ratio: speed(ours) / speed(bare),
      budget: '≤ 2 % lost',
      verdict: verdict(lost <= 0.02, context),
    },
  ]
}
