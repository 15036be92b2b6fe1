import type {FastifyRequest} from 'fastify'
import type {NodeStats} from '../../../contract/schemas/nodes.ts'
import type {Caller} from '../../../domain/caller.ts'
import {problem} from '../../../domain/errors.ts'
import type {Services} from '../../../domain/services/services.ts'
import {streamToken} from '../../auth.ts'
import {type DialectSources, route} from '../../dialect.ts'
import {answerWithStream, endWith} from '../../event-stream.ts'
import type {Reading} from '../../node-readings.ts'
import {encodeEvent} from '../../stream.ts'
import {ById, FleetEvent, NodeEvent, StreamQuery, seconds} from './wire.ts'

/** A comment, so that `onmessage` sees snapshots alone: the document's own handler would throw on anything else. */
const connected = Buffer.from(': connected\n\n')

type Machine = NonNullable<ReturnType<Services['nodes']['machine']>>

/** What the stream of a page answers to: the moment, who asks, and what that caller administers (undefined = all). */
interface View {
  reading: Reading
  services: Services
  mine: ReadonlySet<string> | undefined
}

/** wire.md 4.3. */
export const streamRoutes = [
  route({
    method: 'GET',
    path: '/api/v1/metrics/nodes/stats/stream',
    access: 'node_admin',
    transport: 'events',
    credential: streamToken,
    summary: 'Load of all nodes that you administer, every few seconds.',
    query: StreamQuery,
    output: FleetEvent,
    handle: ({query, asker, request, reply, sources}) =>
      follow({caller: asker, interval: query.interval, request, reply, sources}, fleetFrame),
  }),
  route({
    method: 'GET',
    path: '/api/v1/metrics/nodes/:id/stats/stream',
    access: 'node_admin',
    transport: 'events',
    credential: streamToken,
    summary: 'Load of one node, every few seconds.',
    params: ById,
    query: StreamQuery,
    output: NodeEvent,
    handle: async ({params, query, asker, request, reply, services, sources}) => {
      const wanted = await wantedNode(params.id, asker, services)
      return follow({caller: asker, interval: query.interval, request, reply, sources}, view => nodeFrame(view, wanted))
    },
  }),
]

/** The server's own machine has number 0 unless it is a node, too. */
async function wantedNode(reference: string, caller: Caller, services: Services): Promise<string> {
  if (/^0+$/.test(reference)) {
    if (await services.nodes.mine(caller)) throw problem('node_not_assigned', {name: reference})
    const machine = services.nodes.machine()
    if (machine) return machine.nodeId ?? serverItself
  }
  const {id, admission} = await services.nodes.keptOne(reference, caller)
  if (admission !== 'active') throw problem('not_found', {kind: 'node', name: reference})
  return id
}

const serverItself = 'server'

interface Visit {
  caller: Caller
  interval: number | undefined
  request: FastifyRequest
  reply: Parameters<typeof answerWithStream>[0]['reply']
  sources: DialectSources
}

/** A snapshot at once, and another at every interval; the stream ends when there is nothing to show any more. */
function follow(
  {caller, interval = 5, request, reply, sources}: Visit,
  frameOf: (view: View) => Buffer | undefined,
): Promise<void> {
  const {services, settings, open, readings} = sources
  let mine: ReadonlySet<string> | undefined
  const look = async () => {
    mine = await services.nodes.mine(caller)
  }
  return answerWithStream({
    ...{request, reply, settings, open},
    cacheControl: 'no-cache',
    preamble: connected,
    // What the caller administers may have changed.
    stillAllowed: look,
    prepare: async () => {
      await look()
      return writer => {
        const show = (reading: Reading) => {
          const frame = frameOf({reading, services, mine})
          if (frame) writer.send(frame)
          else writer.end()
        }
        show(readings.current())
        endWith(writer, readings.watch(interval, show))
      }
    },
  })
}

/** Made once a tick for all who see everything, and for all who see the same nodes. */
function fleetFrame({reading, services, mine}: View): Buffer {
  const key = mine ? [...mine].sort().join(' ') : 'all'
  return reading.once(`003 ${key}`, () => {
    const machine = reading.once('003 machine', () => services.nodes.machine())
    const nodes = services.nodes
      .readings()
      .filter(({id}) => !mine || mine.has(id))
      .map(stats => (machine?.nodeId === stats.id ? masterEntry(machine, stats) : nodeEntry(stats)))
    if (machine && machine.nodeId === undefined && !mine) nodes.push(masterEntry(machine))
    return encodeEvent({data: {timestamp: timeOf(reading), nodes}})
  })
}

function nodeFrame({reading, services, mine}: View, nodeId: string): Buffer | undefined {
  if (mine && !mine.has(nodeId)) return undefined
  return reading.once(`003 node ${nodeId}`, () => {
    const machine = reading.once('003 machine', () => services.nodes.machine())
    const timestamp = timeOf(reading)
    const stats = services.nodes.reading(nodeId)
    const isMaster = machine && (machine.nodeId ?? serverItself) === nodeId
    if (isMaster) return encodeEvent({data: {timestamp, ...masterEntry(machine, stats), ...networkOf(machine)}})
    if (!stats) return undefined
    const entry = nodeEntry(stats)
    const {id, hostname, status, is_master} = entry
    if (status === 'offline') return encodeEvent({data: {timestamp, id, hostname, status, is_master, last_seen: null}})
    return encodeEvent({data: {timestamp, ...entry, ...networkOf(stats), is_stale: status === 'stale'}})
  })
}

/** Online while the last report is at most five minutes old (wire.md 6.4). */
const words = {joining: 'offline', online: 'online', stale: 'online', offline: 'stale'} as const

function nodeEntry(stats: NodeStats) {
  return {
    id: stats.number,
    hostname: stats.hostname,
    status: words[stats.status as keyof typeof words],
    is_master: false,
    cpu_percent: stats.cpuPercent,
    memory_percent: stats.memoryPercent,
    disk_percent: stats.diskPercent,
    uptime_seconds: stats.uptimeSeconds,
    active_backups: stats.activeBackups ?? 0,
    last_seen: stats.at && seconds(stats.at),
  }
}

/** The server's own machine, at this moment. */
function masterEntry(machine: Machine, stats?: NodeStats): ReturnType<typeof nodeEntry> | object {
  return {
    id: stats?.number ?? 0,
    hostname: machine.hostname,
    status: 'online',
    is_master: true,
    cpu_percent: machine.cpuPercent,
    memory_percent: machine.memoryPercent,
    disk_percent: machine.diskPercent,
    uptime_seconds: machine.uptimeSeconds,
    active_backups: stats?.activeBackups ?? 0,
    last_seen: null,
  }
}

function networkOf({networkRxBytes, networkTxBytes}: Pick<NodeStats, 'networkRxBytes' | 'networkTxBytes'>) {
  return {network: {bytes_recv: networkRxBytes, bytes_sent: networkTxBytes}}
}

function timeOf(reading: Reading): string {
  return seconds(new Date(reading.at).toISOString())
}
