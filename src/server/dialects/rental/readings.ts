import {Type} from 'typebox'
import {type ControlMessage, FrameReader, frameKind} from '../../../contract/frames.ts'
import type {InstanceStats} from '../../../contract/schemas/instances.ts'
import {problem} from '../../../domain/errors.ts'
import {below, call, idOf} from './call.ts'
import {instanceOf} from './instances.ts'
import {ById} from './wire.ts'

const folders = ['instance']
/** A log that is longer loses its beginning. */
const mostLogBytes = 4 * 1024 * 1024
/** A container that gives no reading by then gives none. */
const readingWithinMs = 10_000

const WireStats = Type.Object({
  cpuPercent: Type.Number({description: '0–100 of what the container may use'}),
  cpuPercentRaw: Type.Number({description: '100 for each core in use'}),
  memoryUsage: Type.Integer(),
  memoryLimit: Type.Integer(),
  memoryPercent: Type.Number(),
  networkRx: Type.Integer(),
  networkTx: Type.Integer(),
  blockRead: Type.Integer(),
  blockWrite: Type.Integer(),
  pids: Type.Integer(),
})

/** What nobody knows is 0: the document has numbers only. */
function statsToWire(stats: InstanceStats) {
  return {
    cpuPercent: stats.cpuPercent ?? 0,
    cpuPercentRaw: stats.cpuPercentRaw ?? 0,
    memoryUsage: stats.memoryUsageBytes ?? 0,
    memoryLimit: stats.memoryLimitBytes ?? 0,
    memoryPercent: stats.memoryPercent ?? 0,
    networkRx: stats.networkRxBytes ?? 0,
    networkTx: stats.networkTxBytes ?? 0,
    blockRead: stats.blockReadBytes ?? 0,
    blockWrite: stats.blockWriteBytes ?? 0,
    pids: stats.pids ?? 0,
  }
}

/** "获取容器日志" and "获取容器统计信息" of document 002. */
export const readingRoutes = [
  call({
    method: 'GET',
    paths: below(folders, 'getContainerLogs'),
    access: 'viewer',
    summary: 'The last lines of an instance, both streams in one text, each line with its time.',
    said: '获取成功',
    query: Type.Object({
      ...ById.properties,
      tail: Type.Optional(Type.Integer({minimum: 0, maximum: 100_000, description: 'lines, 100 unless given'})),
    }),
    data: Type.String(),
    async handle({query, asker, services, reply}) {
      const {id} = await instanceOf(services, idOf(query), asker)
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const input = {id, tail: query.tail ?? 100, timestamps: true}
      return textOf(await services.instances.openLogs(input, asker, gone.signal))
    },
  }),
  call({
    method: 'GET',
    paths: below(folders, 'getContainerStats'),
    access: 'viewer',
    summary: 'One reading of an instance.',
    said: '获取成功',
    query: ById,
    data: WireStats,
    async handle({query, asker, services}) {
      const {id, name} = await instanceOf(services, idOf(query), asker)
      const over = AbortSignal.timeout(readingWithinMs)
      const readings = await services.instances.openStats({id}, asker, over)
      for await (const stats of readings) {
        // The first one has nothing that its processor time could be compared with.
        if (stats.cpuPercent !== null) return statsToWire(stats)
      }
      throw problem('instance_not_running', {name, status: 'without a reading'})
    },
  }),
]

/** Frames as one text: without their heads, both streams as they came (wire.md 6.5, trap 9). */
export async function textOf(frames: AsyncIterable<Uint8Array>): Promise<string> {
  const reader = new FrameReader()
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of frames) {
    for (const {kind, payload} of reader.read(piece)) {
      if (kind === frameKind.control) refuse(payload)
      else {
        pieces.push(payload)
        bytes += payload.length
      }
    }
    while (bytes - (pieces[0]?.length ?? 0) > mostLogBytes) bytes -= pieces.shift()?.length ?? 0
  }
  return Buffer.concat(pieces).toString('utf8')
}

function refuse(payload: Uint8Array): void {
  const {error} = JSON.parse(new TextDecoder().decode(payload)) as ControlMessage
  if (error) throw problem('node_failed', {name: 'of the instance', reason: error.message})
}
