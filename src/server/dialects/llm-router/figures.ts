import {type TSchema, Type} from 'typebox'
import type {Runtime} from '../../../contract/schemas/runtimes.ts'
import type {RuntimeLoad} from '../../../domain/runtimes.ts'
import type {Services} from '../../../domain/services/services.ts'
import {type DialectRoute, route} from '../../dialect.ts'

const OrNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const Figure = OrNull(Type.Number())
const Text = OrNull(Type.String())

const Load = {
  cpu_usage: Figure,
  memory_usage: Figure,
  gpu_usage: Figure,
  gpu_memory_usage: Figure,
  gpu_memory_total_mb: Figure,
  gpu_memory_used_mb: Figure,
  gpu_temperature: Figure,
  gpu_model_name: Text,
  gpu_compute_capability: Text,
  gpu_capability_score: Figure,
  active_requests: Type.Integer(),
  average_response_time_ms: Figure,
}

function loadToWire(load: RuntimeLoad | null, activeRequests: number) {
  return {
    cpu_usage: load?.cpuPercent ?? null,
    memory_usage: load?.memoryPercent ?? null,
    gpu_usage: load?.gpuPercent ?? null,
    gpu_memory_usage: load?.gpuMemoryPercent ?? null,
    gpu_memory_total_mb: load?.gpuMemoryTotalMb ?? null,
    gpu_memory_used_mb: load?.gpuMemoryUsedMb ?? null,
    gpu_temperature: load?.gpuTemperatureC ?? null,
    gpu_model_name: load?.gpuModelName ?? null,
    gpu_compute_capability: load?.gpuComputeCapability ?? null,
    gpu_capability_score: load?.gpuCapabilityScore ?? null,
    active_requests: activeRequests,
    average_response_time_ms: load?.averageResponseMs ?? null,
  }
}

const Snapshot = Type.Object({
  node_id: Type.String(),
  machine_name: Type.String(),
  status: Type.String(),
  ...Load,
  total_requests: Type.Integer(),
  successful_requests: Type.Integer(),
  failed_requests: Type.Integer(),
  last_updated: Text,
  is_stale: Type.Boolean(),
})

function snapshotToWire(runtime: Runtime) {
  const {id, machineName, status, load, requests, isLoadFresh} = runtime
  return {
    ...{node_id: id, machine_name: machineName, status},
    ...loadToWire(load, Math.max(requests.active, load?.activeRequests ?? 0)),
    total_requests: requests.total,
    successful_requests: requests.succeeded,
    failed_requests: requests.failed,
    last_updated: load?.at ?? null,
    is_stale: !isLoadFresh,
  }
}

/** One card of the dashboard. */
const Card = Type.Object({
  ...Snapshot.properties,
  id: Type.String(),
  custom_name: Text,
  ip_address: Type.String(),
  runtime_version: Type.String(),
  runtime_port: Type.Integer(),
  registered_at: Type.String(),
  last_seen: Type.String(),
  uptime_seconds: Type.Integer(),
  metrics_last_updated_at: Text,
  metrics_stale: Type.Boolean(),
  loaded_models: Type.Array(Type.String()),
})

function cardToWire(runtime: Runtime) {
  const {onlineSince} = runtime
  const snapshot = snapshotToWire(runtime)
  return {
    ...snapshot,
    id: runtime.id,
    custom_name: runtime.customName,
    ip_address: runtime.address,
    runtime_version: runtime.runtimeVersion,
    runtime_port: runtime.port,
    registered_at: runtime.registeredAt,
    last_seen: runtime.lastSeenAt,
    uptime_seconds: onlineSince ? Math.max(0, Math.floor((Date.now() - Date.parse(onlineSince)) / 1000)) : 0,
    metrics_last_updated_at: snapshot.last_updated,
    metrics_stale: snapshot.is_stale,
    loaded_models: runtime.loaded.chat,
  }
}

const Summary = Type.Object({
  total_nodes: Type.Integer(),
  online_nodes: Type.Integer(),
  pending_nodes: Type.Integer(),
  registering_nodes: Type.Integer(),
  offline_nodes: Type.Integer(),
  total_requests: Type.Integer(),
  successful_requests: Type.Integer(),
  failed_requests: Type.Integer(),
  average_response_time_ms: Figure,
  average_gpu_usage: Figure,
  average_gpu_memory_usage: Figure,
  total_active_requests: Type.Integer(),
  queued_requests: Type.Integer(),
  last_metrics_updated_at: Text,
  last_registered_at: Text,
  last_seen_at: Text,
})

function summaryToWire(runtimes: readonly Runtime[], waiting: number) {
  const count = (status: Runtime['status']) => runtimes.filter(one => one.status === status).length
  const snapshots = runtimes.map(snapshotToWire)
  const sum = (figure: (one: (typeof snapshots)[number]) => number) =>
    snapshots.reduce((all, one) => all + figure(one), 0)
  const fresh = runtimes.flatMap(({load, isLoadFresh}) => (load && isLoadFresh ? [load] : []))
  const total = sum(one => one.total_requests)
  const spentMs = runtimes.reduce((all, {requests}) => all + (requests.averageMs ?? 0) * requests.total, 0)
  return {
    total_nodes: runtimes.length,
    online_nodes: count('online'),
    pending_nodes: count('pending'),
    registering_nodes: count('registering'),
    offline_nodes: count('offline'),
    total_requests: total,
    successful_requests: sum(one => one.successful_requests),
    failed_requests: sum(one => one.failed_requests),
    average_response_time_ms: total > 0 ? spentMs / total : null,
    average_gpu_usage: mean(fresh.map(({gpuPercent}) => gpuPercent)),
    average_gpu_memory_usage: mean(fresh.map(({gpuMemoryPercent}) => gpuMemoryPercent)),
    total_active_requests: sum(one => one.active_requests),
    queued_requests: waiting,
    last_metrics_updated_at: latest(runtimes.map(({load}) => load?.at)),
    last_registered_at: latest(runtimes.map(({registeredAt}) => registeredAt)),
    last_seen_at: latest(runtimes.map(({lastSeenAt}) => lastSeenAt)),
  }
}

const Minute = Type.Object({minute: Type.String(), success: Type.Integer(), error: Type.Integer()})

function historyToWire({runtimes}: Services) {
  return runtimes.requestHistory().map(({minute, succeeded, failed}) => ({minute, success: succeeded, error: failed}))
}

const summaryOf = async ({runtimes}: Services) => summaryToWire(await runtimes.list({}), runtimes.waiting())

export const figureRoutes: DialectRoute[] = [
  route({
    method: 'GET',
    path: '/v0/nodes/metrics',
    access: 'super_admin',
    summary: 'Latest readings of each runtime.',
    output: Type.Array(Snapshot),
    handle: async ({services}) => (await services.runtimes.list({})).map(snapshotToWire),
  }),
  route({
    method: 'GET',
    path: '/v0/metrics/summary',
    also: ['/v0/dashboard/stats'],
    access: 'super_admin',
    summary: 'All runtimes in figures.',
    output: Summary,
    handle: ({services}) => summaryOf(services),
  }),
  route({
    method: 'GET',
    path: '/v0/dashboard/nodes',
    access: 'super_admin',
    summary: 'Each runtime with its readings.',
    output: Type.Array(Card),
    handle: async ({services}) => (await services.runtimes.list({})).map(cardToWire),
  }),
  route({
    method: 'GET',
    path: '/v0/dashboard/metrics/:id',
    access: 'super_admin',
    summary: 'The last readings of a runtime, oldest first; at most 360.',
    params: Type.Object({id: Type.String({minLength: 1, maxLength: 64})}),
    output: Type.Array(Type.Object({node_id: Type.String(), ...Load, timestamp: Type.String()})),
    handle: async ({params, services}) => {
      const {id} = await services.runtimes.get(params)
      const readings = await services.runtimes.readings({id})
      return readings.map(load => ({node_id: id, ...loadToWire(load, load.activeRequests), timestamp: load.at}))
    },
  }),
  route({
    method: 'GET',
    path: '/v0/dashboard/request-history',
    access: 'super_admin',
    summary: 'Requests of the proxy in each of the last 60 minutes.',
    output: Type.Array(Minute),
    handle: async ({services}) => historyToWire(services),
  }),
  route({
    method: 'GET',
    path: '/v0/dashboard/overview',
    access: 'super_admin',
    summary: 'All of the dashboard at once.',
    output: Type.Object({
      nodes: Type.Array(Card),
      stats: Summary,
      history: Type.Array(Minute),
      generated_at: Type.String(),
      generation_time_ms: Type.Number(),
    }),
    handle: async ({services}) => {
      const startMs = performance.now()
      const runtimes = await services.runtimes.list({})
      const stats = summaryToWire(runtimes, services.runtimes.waiting())
      const parts = {nodes: runtimes.map(cardToWire), stats, history: historyToWire(services)}
      const generated_at = new Date().toISOString()
      return {...parts, generated_at, generation_time_ms: performance.now() - startMs}
    },
  }),
]

function mean(figures: readonly (number | null)[]): number | null {
  const known = figures.filter(figure => figure !== null)
  return known.length > 0 ? known.reduce((sum, figure) => sum + figure, 0) / known.length : null
}

function latest(times: readonly (string | undefined)[]): string | null {
  return times.reduce<string | null>((last, time) => (time && time > (last ?? '') ? time : last), null)
}
