import type {Node, NodeStats} from '../contract/schemas/nodes.ts'
import type {FleetMemory} from './fleet-memory.ts'
import {describeMachine, type EngineAnswer} from './machine.ts'
import type {NodeRecord} from './records.ts'

/** The admission until it is active, then the liveness. */
export function statusWord(admission: Node['admission'], liveness: Node['liveness']): Node['status'] {
  if (admission !== 'active') return admission
  return liveness === 'never' ? 'joining' : liveness
}

/** The GPUs that the node has, with the latest readings where there are some. */
export function gpusOf(node: NodeRecord, memory: FleetMemory): Node['gpus'] {
  const known = node.inventory?.gpus ?? []
  const live = memory.beat(node.id)?.gpus
  if (!live || live.length === 0) return known
  const byUuid = new Map(live.map(gpu => [gpu.uuid, gpu]))
  return known.map(gpu => byUuid.get(gpu.uuid) ?? gpu)
}

export interface NodeView {
  connected: boolean
  /** Held or disabled. */
  gpusUsed: number
  /** Claims that have a place there. */
  held: number
  /** Shows the code of a pending node, and how the machine is reached. */
  mayApprove: boolean
  nameTaken: boolean
  /** Of an agentless node; what other nodes say of their own engine is in their beats. */
  engine: EngineAnswer | undefined
}

/** A node as the API shows it: what the store keeps, and what is known of it at this moment. */
export function describeNode(node: NodeRecord, memory: FleetMemory, view: NodeView): Node {
  const beat = memory.beat(node.id)
  const liveness = memory.liveness(node.id)
  const gpus = gpusOf(node, memory)
  const pending = node.admission === 'pending'
  return {
    id: node.id,
    number: node.number,
    createdAt: node.createdAt,
    updatedAt: node.updatedAt,
    name: node.name,
    hostname: node.hostname,
    status: statusWord(node.admission, liveness),
    admission: node.admission,
    liveness,
    connected: view.connected,
    schedulable: node.schedulable,
    cordonReason: node.cordonReason,
    drain: node.drain ? {...node.drain, left: view.held} : null,
    code: pending && view.mayApprove ? node.code : null,
    codeExpiresAt: pending && view.mayApprove ? node.codeExpiresAt : null,
    address: node.address,
    claimedAddress: node.claimedAddress,
    fingerprint: node.fingerprint,
    gpuSummary: node.gpuSummary,
    nameTaken: view.nameTaken,
    kind: node.kind,
    runtime: node.inventory?.runtime ?? 'docker',
    runtimeState: beat?.runtimeState ?? 'unknown',
    runtimeReason: beat?.runtimeReason ?? '',
    gpuState: beat?.gpuState ?? (gpus.length > 0 ? 'ok' : 'none'),
    gpuReason: beat?.gpuReason ?? '',
    gpus,
    gpusFree: Math.max(0, gpus.length - view.gpusUsed),
    cpus: node.inventory?.cpus ?? 0,
    memoryMiB: node.inventory?.memoryMiB ?? 0,
    os: node.inventory?.os ?? node.os,
    architecture: node.inventory?.architecture ?? '',
    agentVersion: node.inventory?.agentVersion ?? node.agentVersion,
    labels: node.labels,
    lastSeenAt: memory.lastSeenAt(node.id),
    ...describeMachine(node, {mayChange: view.mayApprove, ...(view.engine ?? engineOf(node.id, memory))}),
    simulated: gpus.some(gpu => gpu.simulated) || node.inventory?.runtime === 'fake',
  }
}

/** What the agent on the machine says of its engine, as long as it is heard. */
function engineOf(nodeId: string, memory: FleetMemory): EngineAnswer {
  const liveness = memory.liveness(nodeId)
  const state = memory.beat(nodeId)?.runtimeState ?? 'unknown'
  const heard = {ok: 'connected', degraded: 'failed', unknown: 'unknown'} as const
  const dockerStatus = liveness === 'never' ? 'unknown' : liveness === 'online' ? heard[state] : 'failed'
  return {dockerStatus, dockerCheckedAt: memory.lastSeenAt(nodeId)}
}

/** One node's reading for the streams. */
export function describeReading(
  node: Pick<NodeRecord, 'id' | 'number' | 'name' | 'hostname' | 'admission'>,
  memory: FleetMemory,
): NodeStats {
  const beat = memory.beat(node.id)
  const used = beat?.memoryUsedMiB ?? null
  const total = beat?.memoryTotalMiB ?? null
  return {
    id: node.id,
    number: node.number,
    name: node.name,
    at: memory.lastSeenAt(node.id),
    status: statusWord(node.admission, memory.liveness(node.id)),
    cpuPercent: beat?.cpuPercent ?? null,
    memoryPercent: used !== null && total ? Math.round((used / total) * 1000) / 10 : null,
    memoryUsedMiB: used,
    memoryTotalMiB: total,
    diskPercent: beat?.diskPercent ?? null,
    load1: beat?.load1 ?? null,
    uptimeSeconds: beat?.uptimeSeconds ?? null,
    networkRxBytes: beat?.networkRxBytes ?? null,
    networkTxBytes: beat?.networkTxBytes ?? null,
    hostname: node.hostname,
    activeBackups: beat?.activeBackups ?? null,
    gpus: (beat?.gpus ?? []).map(gpu => ({
      index: gpu.index,
      uuid: gpu.uuid,
      model: gpu.model,
      utilizationPercent: gpu.utilizationPercent,
      memoryUsedMiB: gpu.memoryUsedMiB,
      memoryMiB: gpu.memoryMiB,
      temperatureC: gpu.temperatureC,
      powerW: gpu.powerW,
      simulated: gpu.simulated,
    })),
  }
}
