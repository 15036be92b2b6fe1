import {parseCores, parseGiB} from './figures.ts'
import type {FleetMemory} from './fleet-memory.ts'
import {factsOf} from './machine.ts'
import {type Disk, type Offer, sellableMiB} from './placement.ts'
import type {Allocation, NodeRecord} from './records.ts'

/** What a node has to give now. `held`: its live allocations, and those whose containers it has not let go of yet. */
export function offerOf(
  node: NodeRecord,
  held: readonly Pick<Allocation, 'gpus' | 'cpus' | 'memoryMiB' | 'systemDiskGiB' | 'dataDiskGiB'>[],
  {memory, connected}: {memory: FleetMemory; connected: boolean},
): Offer {
  const cards = cardsHeld(held)
  const {listing, hamiCore} = factsOf(node)
  // What the machine says counts; what the operator wrote does as long as it has said nothing.
  const cpus = node.inventory?.cpus || (parseCores(listing.cpu) ?? 0)
  const memoryMiB = node.inventory?.memoryMiB || (parseGiB(listing.memory) ?? 0) * 1024
  const splits = hamiCore !== '' && (node.inventory?.images ?? false)
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
    systemDisk: diskOf(parseGiB(listing.systemDisk), held, one => one.systemDiskGiB),
    dataDisk: diskOf(parseGiB(listing.dataDisk), held, one => one.dataDiskGiB),
    gpus: (node.inventory?.gpus ?? []).map(({index, uuid, model, memoryMiB, simulated, vendor}) => {
      const card = cards.get(index)
      // HAMi-core works on CUDA.
      const isSplit = splits && vendor !== 'amd' && memoryMiB !== null
      const isDisabled = node.disabledGpus?.[uuid] !== undefined
      const left = Math.max(0, sellableMiB({memoryMiB}) - (card?.sharedMiB ?? 0))
      return {
        ...{index, uuid, model, memoryMiB, simulated, free: !card && !isDisabled},
        ...(isSplit ? {leftMiB: card?.isWhole || isDisabled ? 0 : left} : {}),
        ...(isDisabled ? {disabled: true as const} : {}),
      }
    }),
  }
}

/** Cards that somebody holds, by index: whole, or so much of their memory. */
export function cardsHeld(
  held: readonly Pick<Allocation, 'gpus'>[],
): Map<number, {isWhole: boolean; sharedMiB: number}> {
  const cards = new Map<number, {isWhole: boolean; sharedMiB: number}>()
  for (const {index, share} of held.flatMap(({gpus}) => gpus)) {
    const {isWhole = false, sharedMiB = 0} = cards.get(index) ?? {}
    cards.set(index, {isWhole: isWhole || !share, sharedMiB: sharedMiB + (share?.memoryMiB ?? 0)})
  }
  return cards
}

/** How many cards of each node somebody holds, whole or in part; of the nodes that are given the disabled ones count too. */
export function cardsUsed(
  live: readonly Pick<Allocation, 'nodeId' | 'gpus'>[],
  nodes: readonly Pick<NodeRecord, 'id' | 'inventory' | 'disabledGpus'>[] = [],
): Map<string, number> {
  const cards = new Map<string, Set<number>>()
  for (const {id, inventory, disabledGpus} of nodes) {
    if (!disabledGpus) continue
    const off = (inventory?.gpus ?? []).filter(({uuid}) => disabledGpus[uuid])
    cards.set(id, new Set(off.map(({index}) => index)))
  }
  for (const {nodeId, gpus} of live) {
    const known = cards.get(nodeId) ?? new Set()
    for (const {index} of gpus) known.add(index)
    cards.set(nodeId, known)
  }
  return new Map([...cards].map(([nodeId, indexes]) => [nodeId, indexes.size]))
}

function diskOf<T>(gib: number | null, held: readonly T[], taken: (one: T) => number | undefined): Disk | undefined {
  if (gib === null) return undefined
  return {gib, freeGiB: gib - held.reduce((sum, one) => sum + (taken(one) ?? 0), 0)}
}

/** Why the node takes no work at all now, or ''. */
function refusalOf(node: NodeRecord, memory: FleetMemory, connected: boolean): string {
  if (node.admission === 'pending') return 'waits for approval'
  if (node.admission === 'blocked') return 'blocked'
  if (node.suspendedReason) return `suspended: ${node.suspendedReason}`
  if (!factsOf(node).listed) return 'not listed'
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
