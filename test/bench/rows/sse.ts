import {randomUUID} from 'node:crypto'
import {get} from 'node:http'
import {Api} from '../api.ts'
import {round} from '../figures.ts'
import {loopback} from '../fleet.ts'
import {RawConnection, rawPost} from '../raw-connection.ts'
import {type Measurement, type Row, type RowContext, verdict} from '../row.ts'
import type {ServerProcess} from '../server-process.ts'
import {serverWithNodes} from '../stored-nodes.ts'
import {cpuWhile} from '../usage.ts'
import {WorkerProcess} from '../worker-process.ts'
import type {SerialisingJob} from '../workers/serialising-stream-server.ts'
import type {ReadersJob, ReadersResult} from '../workers/stream-readers.ts'

type Readers = WorkerProcess<ReadersJob, ReadersResult>
const path = '/gpuctl/v1/nodes/stats'
/** A user may have 64 streams open. */
const streamsPerUser = 60

/** P7: many readers of the readings of all nodes. */
export const sse: Row = {
  name: 'sse',
  budgets: 'P7',
  async measure(context) {
    const readers: Readers = new WorkerProcess('stream-readers')
    context.atEnd(() => readers.stop())
    return [await manyReaders(context, readers), await againstSerialising(context, readers)]
  },
}

/** 200 nodes without GPUs, as in the figures that the budget comes from (an event of some 40 KB). */
async function manyReaders(context: RowContext, readers: Readers): Promise<Measurement> {
  const count = context.quick ? 50 : 1_000
  const nodes = context.quick ? 20 : 200
  const server = await serverWithReadings(context, `${count}-readers`, nodes)
  const tokens = await tokensFor(server, count)
  context.progress(`${count} readers of ${nodes} nodes`)
  await readers.run({do: 'open', port: server.port, path, tokens, readers: count})
  const forMs = context.quick ? 3_000 : 15_000
  const {result, percent} = await cpuWhile(server.pid, () => readers.run({do: 'read', forMs}))
  await server.stop()
  if (result.cut > 0) throw new Error(`${result.cut} of ${count} streams were cut.`)
  const {p50, p99, max} = result.latencyMs
  return {
    what: `${count} readers of ${nodes} nodes, an event a second (${round(result.bytes / result.events / 1024)} KiB)`,
    baseline: '–',
    ours: `p50 ${round(p50)} ms, p99 ${round(p99)} ms, slowest ${round(max)} ms; ${round(percent)} % of a core`,
    ratio: undefined,
    budget: 'p99 ≤ 150 ms',
    verdict: verdict(p99 <= 150, context),
  }
}

async function againstSerialising(context: RowContext, readers: Readers): Promise<Measurement> {
  const count = context.quick ? 50 : 500
  const nodes = context.quick ? 50 : 1_000
  const server = await serverWithReadings(context, `${nodes}-nodes`, nodes)
  const tokens = await tokensFor(server, count)
  const raw = new WorkerProcess<SerialisingJob, {port: number}>('serialising-stream-server')
  context.atEnd(() => raw.stop())
  const {port} = await raw.run({sample: await firstEvent(server), tickMs: 1_000})
  const measured = async (pid: number, at: number) => {
    await readers.run({do: 'open', port: at, path, tokens, readers: count})
    return cpuWhile(pid, () => readers.run({do: 'read', forMs: context.quick ? 3_000 : 10_000}))
  }
  context.progress(`${count} readers of ${nodes} nodes, ours and the plain way`)
  const ours = await measured(server.pid, server.port)
  const bare = await measured(raw.pid, port)
  if (ours.result.cut > 0) throw new Error(`${ours.result.cut} of ${count} streams were cut.`)
  // CPU for each event, because a server that cannot keep up sends fewer.
  const cost = ({cpuMs, result}: typeof ours) => (cpuMs * 1000) / result.events
  const ratio = cost(ours) / cost(bare)
  return {
    what: `${count} readers of ${nodes} nodes, CPU for an event (${round(ours.result.bytes / ours.result.events / 1024)} KiB)`,
    baseline: `${round(cost(bare))} µs: JSON.stringify for every reader`,
    ours: `${round(cost(ours))} µs, ${round(ours.percent)} % of a core`,
    ratio,
    budget: '≤ 0.1 ×',
    verdict: verdict(ratio <= 0.1, context),
  }
}

async function serverWithReadings(context: RowContext, name: string, nodes: number): Promise<ServerProcess> {
  const {server, keys} = await serverWithNodes(context, name, nodes)
  const connection = await RawConnection.open(server.port)
  for (const key of keys) {
    const load = {cpuPercent: 37.5, memoryTotalMiB: 257_840, memoryUsedMiB: 103_424, diskPercent: 41.2, load1: 3.14}
    const beat = {bootId: randomUUID(), sequence: 1, uptimeSeconds: 864_000, ...load}
    const status = await connection.send(rawPost(server.port, '/gpuctl/v1/nodes/beat', key, beat))
    if (status !== 200) throw new Error(`A beat was answered with ${status}.`)
  }
  connection.close()
  return server
}

/** Tokens of so many users that none has more streams than he may. */
async function tokensFor(server: ServerProcess, readers: number): Promise<string[]> {
  const api = new Api(server)
  const tokens: string[] = []
  try {
    while (tokens.length * streamsPerUser < readers) {
      const username = `reader-${tokens.length}`
      const password = `a-password-for-benches-${randomUUID()}`
      await api.ok('POST', '/users', {body: {username, password, role: 'viewer'}})
      const from = loopback(tokens.length)
      const login = await api.ok<{token: string}>('POST', '/auth/login', {body: {username, password}, token: '', from})
      tokens.push(login.token)
    }
  } finally {
    api.close()
  }
  return tokens
}

function firstEvent(server: ServerProcess): Promise<SerialisingJob['sample']> {
  return new Promise((resolve, reject) => {
    const call = get(`${server.url}${path}`, {headers: {authorization: `Bearer ${server.token}`}}, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
        const found = /^data: (.*)\n\n/m.exec(text)?.[1]
        if (!found) return
        call.destroy()
        resolve(JSON.parse(found) as SerialisingJob['sample'])
      })
    })
    call.on('error', reject)
  })
}
