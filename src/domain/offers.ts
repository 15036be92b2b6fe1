import type {FleetMemory} from './fleet-memory.ts'
import type {Offer} from './placement.ts'
import type {Allocation, NodeRecord} from './records.ts'

/** What a node has to give now. `held`: its live allocations, and those whose containers it has not let go of yet. */
export function offerOf(
  node: NodeRecord,
  held: readonly Pick<Allocation, 'gpus' | 'cpus' | 'memoryMiB'>[],
  {memory, connected}: {memory: FleetMemory; connected: boolean},
): Offer {
  const taken = new Set(held.flatMap(({gpus}) => gpus.map(gpu => gpu.index)))
  const cpus = node.inventory?.cpus ?? 0
  const memoryMiB = node.inventory?.memoryMiB ?? 0
  return {
    nodeId: node.id,
    name: node.name,
    refusal: refusalOf(node, memory, connected),
    runtime: node.inventory?.runtime,
    images: node.inventory?.images ?? true,
    labels: node.labels,
    cpus,
    cpusFree: cpus - held.reduce((sum, one) => sum + one.cpus, 0),
    memoryMiB,
    memoryFreeMiB: memoryMiB - held.reduce((sum, one) => sum + one.memoryMiB, 0),
    gpus: (node.inventory?.gpus ?? []).map(({index, uuid, model, memoryMiB, simulated}) => ({
      index,
      uuid,
      model,
      memoryMiB,
      simulated,
      free: !taken.has(index),
    })),
  }
}

/** Why the node takes no work at all now, or ''. */
function refusalOf(node: NodeRecord, memory: FleetMemory, connected: boolean): string {
  if (node.admission === 'pending') return 'waits for approval'
  if (node.admission === 'blocked') return 'blocked'
  if (node.suspendedReason) return `suspended: ${node.suspendedReason}`
  if (!node.schedulable) return node.cordonReason ? `cordoned: ${node.cordonReason}` : 'cordoned'
  const liveness = memory.liveness(node.id)
  if (liveness === 'never') return 'has not connected yet'
  if (liveness !== 'online') return liveness
  if (!connected) return 'not connected'
  if (!node.inventory) return 'has not told its hardware yet'
  const beat = memory.beat(node.id)
  if (beat?.runtimeState === 'degraded') {
    const engine = node.inventory.runtime === 'docker' ? 'Docker' : 'The runtime'
    return `${engine} is not answering${beat.runtimeReason ? `: ${beat.runtimeReason}` : ''}`
  }
  if (beat?.gpuState === 'lost') return `lost its GPU driver${beat.gpuReason ? `: ${beat.gpuReason}` : ''}`
  if (!memory.hasTold(node.id)) return 'has not told yet what runs there'
  return ''
}
