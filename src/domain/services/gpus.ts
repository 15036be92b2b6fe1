import type {FleetGpu, Gpu} from '../../contract/schemas/nodes.ts'
import {type Caller, seesAll} from '../caller.ts'
import {problem} from '../errors.ts'
import {gpusOf} from '../node.ts'
import {cardsHeld} from '../offers.ts'
import {modelMatches, sellableMiB} from '../placement.ts'
import type {Tables} from '../ports.ts'
import type {Allocation, NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import type {Services} from './services.ts'

export function gpuMethods(deps: ServiceDependencies, keeping: NodeKeeping): Services['gpus'] {
  return {
    disable: ({id, reason = ''}, caller) => setDisabled(deps, keeping, {reference: id, reason}, caller),
    enable: ({id}, caller) => setDisabled(deps, keeping, {reference: id, reason: undefined}, caller),
    async list({free, model}, caller) {
      const all = await fleetGpus(deps, caller)
      return all.filter(
        gpu => (!free || gpu.state === 'free') && (model === undefined || modelMatches(gpu.model, model)),
      )
    },
  }
}

/** Every GPU of the admitted nodes. Who holds one is told to the holder and to administrators. */
async function fleetGpus({store, memory, queue}: ServiceDependencies, caller: Caller): Promise<FleetGpu[]> {
  const nodes = await store.nodes.list({admission: 'active'})
  const refusals = new Map(queue.offers().map(({nodeId, refusal}) => [nodeId, refusal]))
  const live = byNode(await store.allocations.listLive())
  const gpus: FleetGpu[] = []
  for (const node of nodes) {
    const isUsable = (refusals.get(node.id) ?? 'unknown') === ''
    const held = live.get(node.id) ?? []
    const cards = cardsHeld(held)
    for (const gpu of gpusOf(node, memory)) {
      const card = cards.get(gpu.index)
      const total = gpu.memoryMiB === null ? null : sellableMiB(gpu)
      const memoryFreeMiB = total === null ? null : card?.isWhole ? 0 : total - (card?.sharedMiB ?? 0)
      const disabled = node.disabledGpus?.[gpu.uuid] ?? null
      const open = disabled ? 'disabled' : isUsable ? 'free' : 'unavailable'
      const state = card ? (card.isWhole ? 'used' : 'shared') : open
      const holders = held.filter(({gpus}) => gpus.some(({index}) => index === gpu.index))
      const names = await holderNames(store, holders, caller)
      gpus.push({...gpu, node: node.name, nodeId: node.id, state, disabled, memoryFreeMiB, ...names})
    }
  }
  return gpus
}

function byNode(allocations: readonly Allocation[]): Map<string, Allocation[]> {
  const found = new Map<string, Allocation[]>()
  for (const one of allocations) found.set(one.nodeId, [...(found.get(one.nodeId) ?? []), one])
  return found
}

/** Those that the caller may see. */
async function holderNames({claims}: Tables, holders: readonly Allocation[], caller: Caller) {
  const found = await Promise.all(holders.map(({claimId}) => claims.find(claimId)))
  const shown = found.filter(claim => claim && (seesAll(caller) || claim.ownerId === caller.id))
  if (shown.length === 0) return {claim: null, instance: null, owner: null}
  const name = shown.map(claim => claim!.name).join(', ')
  return {claim: name, instance: name, owner: [...new Set(shown.map(claim => claim!.owner))].join(', ')}
}

/** In or out of placement; `reason` undefined puts it back. What runs on it goes on. */
async function setDisabled(
  deps: ServiceDependencies,
  keeping: NodeKeeping,
  {reference, reason}: {reference: string; reason: string | undefined},
  caller: Caller,
): Promise<FleetGpu> {
  const found = await findGpu(deps, reference)
  const node = await keeping.own(found.node.id, caller)
  const {uuid, index} = found.gpu
  await deps.journal.change(async (tx, record) => {
    const before = await tx.nodes.find(node.id)
    if (!before) throw problem('not_found', {kind: 'node', name: node.name})
    const {[uuid]: known, ...others} = before.disabledGpus ?? {}
    if (known?.reason === reason) return
    const at = new Date(deps.clock.now()).toISOString()
    const own = reason === undefined ? {} : {[uuid]: {reason, by: caller.username, at}}
    await tx.nodes.save({...before, disabledGpus: {...others, ...own}, updatedAt: at})
    const [type, words, action] =
      reason === undefined
        ? (['GpuEnabled', 'gets work again.', 'gpus.enable'] as const)
        : (['GpuDisabled', `gets no new work${reason ? `: ${reason}` : ''}.`, 'gpus.disable'] as const)
    await record.event('node', before, type, `GPU ${index} of ${before.name} ${words}`, caller.username)
    await record.audit(caller, action, node.id, {index, uuid, ...(reason === undefined ? {} : {reason})})
  })
  deps.wake('queue', `node:${node.id}`)
  const all = await fleetGpus(deps, caller)
  const gpu = all.find(one => one.nodeId === node.id && one.uuid === uuid)
  if (!gpu) throw problem('not_found', {kind: 'GPU', name: reference})
  return gpu
}

/** By `NODE:INDEX`, or by UUID where no other card has it. */
async function findGpu({store}: ServiceDependencies, reference: string): Promise<{node: NodeRecord; gpu: Gpu}> {
  const nodes = await store.nodes.list({admission: 'active'})
  const all = nodes.flatMap(node => (node.inventory?.gpus ?? []).map(gpu => ({node, gpu})))
  const placed = all.find(({node, gpu}) => [node.name, node.id].some(name => `${name}:${gpu.index}` === reference))
  if (placed) return placed
  const [first, ...more] = all.filter(({gpu}) => gpu.uuid === reference)
  if (!first) throw problem('not_found', {kind: 'GPU', name: reference})
  if (more.length === 0) return first
  const candidates = [first, ...more].map(({node, gpu}) => `${node.name}:${gpu.index}`).join(', ')
  throw problem('name_ambiguous', {name: reference, candidates})
}
