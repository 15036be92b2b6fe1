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
const model = 'bench-model'
const streams = 64

/** P13: 64 streams of tokens through /v1, against the same runtime asked directly. */
export const inference: Row = {
  name: 'inference',
  budgets: 'P13',
  async measure(context) {
    const runtime = new WorkerProcess<TokenRuntimeJob, {port: number}>('token-runtime')
    context.atEnd(() => runtime.stop())
    const readers: Readers = new WorkerProcess('token-readers')
    context.atEnd(() => readers.stop())
    const {port: direct} = await runtime.run({model, tokens: 50, everyMs: 20})
    const server = await ServerProcess.start({program: context.program, data: join(context.folder, 'data')})
    context.atEnd(() => server.stop())
    const key = await prepare(server, direct)
    return compare(context, {readers, server, direct, key})
  },
}

/** Registers and approves the runtime, lets it take all streams at once, and makes a key for models. */
async function prepare(server: ServerProcess, apiPort: number): Promise<string> {
  const api = new Api(server)
  const registration = await fetch(`${server.url}/v0/nodes`, {
    method: 'POST',
    headers: {'content-type': 'application/json'},
    body: JSON.stringify({
      ...{machine_name: 'bench', ip_address: '127.0.0.1', runtime_version: '1', runtime_port: apiPort - 1},
      ...{gpu_available: true, gpu_devices: [{model: 'none', count: 1}]},
    }),
  })
  const {runtime_id: id} = (await registration.json()) as {runtime_id: string}
  await api.ok('POST', `/runtimes/${id}/approve`, {body: {}})
  await api.ok('PUT', '/settings/inference.requests_per_runtime', {body: {value: '128'}})
  const limits = {scopes: ['inference'], concurrency: 1_000}
  const {secret} = await api.ok<{secret: string}>('POST', '/tokens', {body: {name: 'bench', ...limits}})
  api.close()
  return secret
}

interface Sides {
  readers: Readers
  server: ServerProcess
  direct: number
  key: string
}

async function compare(context: RowContext, {readers, server, direct, key}: Sides): Promise<Measurement[]> {
  const {quick} = context
  // A runtime counts as online for a minute after its registration; the pairs fit into it.
  const job = {key, model, streams, forMs: quick ? 1_500 : 6_000}
  const measured = async (port: number) => {
    const result = await readers.run({...job, port})
    const [failure] = Object.keys(result.failed)
    if (failure) throw new Error(`An answer failed: ${failure}`)
    return result
  }
  await readers.run({...job, port: direct, forMs: 1_000})
  await readers.run({...job, port: server.port, forMs: 1_000})
  const bare: TokenReadersResult[] = []
  const ours: TokenReadersResult[] = []
  const cores: number[] = []
  for (let pair = 0; pair < (quick ? 1 : 3); pair++) {
    context.progress(`pair ${pair + 1}, ${streams} streams`)
    bare.push(await measured(direct))
    const {result, percent} = await cpuWhile(server.pid, () => measured(server.port))
    ours.push(result)
    cores.push(percent)
  }
  const middle = (all: TokenReadersResult[], of: (one: TokenReadersResult) => number) => median(all.map(of))
  const times = (all: TokenReadersResult[]) =>
    `p50 ${round(middle(all, one => one.firstByteMs.p50))} ms, p99 ${round(middle(all, one => one.firstByteMs.p99))} ms`
  const speed = (all: TokenReadersResult[]) => middle(all, one => one.tokensPerSecond)
  const addedMs = middle(ours, one => one.firstByteMs.p99) - middle(bare, one => one.firstByteMs.p99)
  const lost = 1 - speed(ours) / speed(bare)
  return [
    {
      what: `time to the first byte, ${streams} streams`,
      baseline: `${times(bare)}: the runtime asked directly`,
      ours: `${times(ours)}: ${round(addedMs)} ms added at p99; ${round(median(cores))} % of a core`,
      ratio: undefined,
      budget: '≤ 3 ms added at p99',
      verdict: verdict(addedMs <= 3, context),
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
