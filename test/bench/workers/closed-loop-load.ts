import {randomUUID} from 'node:crypto'
import {setTimeout as pause} from 'node:timers/promises'
import {type Spread, spreadOf} from '../figures.ts'
import {RawConnection, rawPost} from '../raw-connection.ts'
import {serveJobs} from '../worker-process.ts'

export interface LoadJob {
  port: number
  /** Claims: POST with the token. Beats: POST of one beat a time, each with the key of one of the nodes. */
  kind: 'claims' | 'beats'
  tokens: string[]
  connections: number
  forMs: number
  /** Each connection waits so long from one request to the next, and they begin spread over it; 0 = no pause. */
  everyMs: number
}

export interface LoadResult {
  answered: number
  perSecond: number
  latencyMs: Spread
  /** Statuses that were not 2xx, with how often. */
  refused: Record<string, number>
}

const path = {claims: '/gpuctl/v1/claims', beats: '/gpuctl/v1/nodes/beat'}

serveJobs<LoadJob, LoadResult>(async job => {
  const connections: RawConnection[] = []
  for (let index = 0; index < job.connections; index++) connections.push(await RawConnection.open(job.port))
  const latencies: number[] = []
  const refused: Record<string, number> = {}
  const boot = randomUUID()
  const sequences = new Map<string, number>()
  const since = performance.now()
  const until = since + job.forMs

  const requestOf = (turn: number) => {
    const token = job.tokens[turn % job.tokens.length]!
    if (job.kind === 'claims')
      return rawPost(job.port, path.claims, token, claim(turn), {'Idempotency-Key': randomUUID()})
    const sequence = (sequences.get(token) ?? 0) + 1
    sequences.set(token, sequence)
    return rawPost(job.port, path.beats, token, beat(boot, sequence))
  }
  await Promise.all(
    connections.map(async (connection, index) => {
      if (job.everyMs > 0) await pause(Math.random() * job.everyMs)
      for (let turn = index; performance.now() < until; turn += job.connections) {
        const request = requestOf(turn)
        const sentMs = performance.now()
        const status = await connection.send(request)
        const tookMs = performance.now() - sentMs
        latencies.push(tookMs)
        if (status < 200 || status > 299) {
          const what = `${status} ${connection.lastBody.toString().slice(0, 120)}`
          refused[what] = (refused[what] ?? 0) + 1
        }
        if (job.everyMs > 0) await pause(Math.max(0, job.everyMs - tookMs))
      }
    }),
  )
  const seconds = (performance.now() - since) / 1000
  for (const connection of connections) connection.close()
  const answered = latencies.length
  return {answered, perSecond: answered / seconds, latencyMs: spreadOf(latencies), refused}
})

function claim(turn: number) {
  return {
    image: 'bench/none:1',
    command: ['python', 'train.py', '--epochs', '3'],
    env: {RUN: String(turn)},
    gpus: {count: 1 + (turn % 4), model: 'RTX 4090', minMemoryMiB: 16_384},
    cpus: 4,
    memoryMiB: 8_192,
    priority: turn % 10,
    labels: {team: 'vision'},
  }
}

function beat(bootId: string, sequence: number) {
  return {
    bootId,
    sequence,
    cpuPercent: 37.5,
    memoryTotalMiB: 257_840,
    memoryUsedMiB: 103_424,
    diskPercent: 41.2,
    load1: 3.14,
    uptimeSeconds: 864_000 + sequence,
    networkRxBytes: 123_456_789 + sequence,
    networkTxBytes: 987_654_321 + sequence,
    gpuState: 'ok',
    gpus: [0, 1].map(index => ({
      index,
      uuid: `GPU-00000000-0000-0000-0000-00000000000${index}`,
      vendor: 'nvidia',
      model: 'NVIDIA GeForce RTX 4090',
      memoryMiB: 24_564,
      memoryUsedMiB: 20_111,
      utilizationPercent: 98,
      temperatureC: 71,
      powerW: 402.5,
      computeCapability: '8.9',
      simulated: false,
    })),
    runtimeState: 'ok',
  }
}
