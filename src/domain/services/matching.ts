import type {Spec} from '../../contract/schemas/catalogue.ts'
import type {MatchedNode} from '../../contract/schemas/instances.ts'
import {factsOf} from '../machine.ts'
import {fitOn, isTighter, isUsable, type Needs, type Offer, sellableMiB, without} from '../placement.ts'
import {needsOf} from '../product.ts'
import type {NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'

/** More instances than this of one spec on one node are not counted. */
const mostCounted = 256

/** Nodes for a spec: those that fit first, of them the fullest first; the others by name, with the first unmet need. */
export async function matchNodes({store, queue}: ServiceDependencies, spec: Spec): Promise<MatchedNode[]> {
  const nodes = new Map((await store.nodes.list({admission: 'active'})).map(node => [node.id, node]))
  const needs: Needs = {image: '', ...needsOf(spec)}
  const fitting: Offer[] = []
  const others: Offer[] = []
  for (const offer of queue.offers()) ('gpus' in fitOn(needs, offer) ? fitting : others).push(offer)
  fitting.sort((a, b) => (isTighter(a, b) ? -1 : 1))
  others.sort((a, b) => (a.name < b.name ? -1 : 1))
  return [...fitting, ...others].flatMap(offer => {
    const node = nodes.get(offer.nodeId)
    return node ? [describe(node, offer, needs, spec)] : []
  })
}

function describe(node: NodeRecord, offer: Offer, needs: Needs, spec: Spec): MatchedNode {
  const found = fitOn(needs, offer)
  const {listing} = factsOf(node)
  const largest = offer.gpus.reduce((most, gpu) => Math.max(most, gpu.memoryMiB ?? 0), 0)
  const freest = offer.gpus.reduce((most, gpu) => Math.max(most, gpu.leftMiB ?? (gpu.free ? sellableMiB(gpu) : 0)), 0)
  const isOpen = offer.refusal === ''
  return {
    id: node.id,
    number: node.number,
    name: node.name,
    fits: 'gpus' in found,
    reason: 'reason' in found ? found.reason : '',
    capacity: capacityOf(offer, needs),
    region: listing.region,
    publicIp: listing.publicIp,
    gpuModel: offer.gpus[0]?.model ?? node.declaredGpus?.model ?? '',
    gpuCount: offer.gpus.length,
    gpusFree: isOpen ? offer.gpus.filter(gpu => isUsable(gpu, needs)).length : 0,
    gpuMemoryMiB: largest || null,
    gpuMemoryFreeMiB: largest ? freest : null,
    cpus: offer.cpus,
    cpusFree: offer.cpusFree,
    memoryMiB: offer.memoryMiB,
    memoryFreeMiB: offer.memoryFreeMiB,
    systemDiskGiB: offer.systemDisk?.gib ?? null,
    systemDiskFreeGiB: offer.systemDisk?.freeGiB ?? null,
    dataDiskGiB: offer.dataDisk?.gib ?? null,
    dataDiskFreeGiB: offer.dataDisk?.freeGiB ?? null,
    pricePerHour: spec.pricePerHour,
  }
}

/** How often the needs fit, one after the other. */
function capacityOf(offer: Offer, needs: Needs): number {
  let left = offer
  let count = 0
  for (; count < mostCounted; count++) {
    const found = fitOn(needs, left)
    if ('reason' in found) break
    left = without(left, found.gpus, needs)
  }
  return count
}
