import type {OutputOf} from '../../contract/contract.ts'
import type {FleetGpu} from '../../contract/schemas/nodes.ts'
import {type Caller, seesAll} from '../caller.ts'
import {problem} from '../errors.ts'
import {gpusOf, statusWord} from '../node.ts'
import {cardsHeld, cardsUsed} from '../offers.ts'
import {modelMatches, sellableMiB} from '../placement.ts'
import type {Tables} from '../ports.ts'
import type {Allocation, NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'

export function gpuMethods(deps: ServiceDependencies): Services['gpus'] {
  return {
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
      const state = card ? (card.isWhole ? 'used' : 'shared') : isUsable ? 'free' : 'unavailable'
      const holders = held.filter(({gpus}) => gpus.some(({index}) => index === gpu.index))
      const names = await holderNames(store, holders, caller)
      gpus.push({...gpu, node: node.name, nodeId: node.id, state, memoryFreeMiB, ...names})
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

export function serverMethods(deps: ServiceDependencies, maintain: () => Promise<void>): Services['server'] {
  const {server} = deps
  return {
    status: () => fleetStatus(deps),
    ssh: () => server.ssh?.(),
    async openSshTunnel() {
      const door = server.ssh?.()
      if (!door || !server.dialSsh) throw problem('ssh_off', {})
      return server.dialSsh(door)
    },
    version: async () => ({version: server.version, api: 'v1', serverId: server.id}),
    maintain,
  }
}

async function fleetStatus(deps: ServiceDependencies): Promise<OutputOf<'server.status'>> {
  const {store, server, memory} = deps
  const records = await store.nodes.list()
  const words = records.map(node => statusWord(node.admission, memory.liveness(node.id)))
  const count = (word: string) => words.filter(one => one === word).length
  const active = records.filter(node => node.admission === 'active')
  const degraded = active.filter(node => memory.beat(node.id)?.runtimeState === 'degraded')
  const phases = await store.claims.countByPhase()
  return {
    serverId: server.id,
    version: server.version,
    startedAt: server.startedAt,
    ssh: server.ssh?.() ?? null,
    nodes: {
      online: count('online'),
      stale: count('stale'),
      offline: count('offline'),
      pending: count('pending'),
      blocked: count('blocked'),
      cordoned: active.filter(node => !node.schedulable).length,
      degraded: degraded.length,
    },
    gpus: await countGpus(deps, active),
    claims: {pending: phases.Pending ?? 0, scheduled: phases.Scheduled ?? 0, running: phases.Running ?? 0},
    problems: problemsOf(deps, records),
  }
}

async function countGpus({store, queue}: ServiceDependencies, active: readonly NodeRecord[]) {
  const usable = new Set(queue.offers().flatMap(({nodeId, refusal}) => (refusal === '' ? [nodeId] : [])))
  const used = cardsUsed(await store.allocations.listLive())
  const counts = {total: 0, free: 0, used: 0, unavailable: 0, simulated: 0}
  for (const {id, inventory} of active) {
    const total = inventory?.gpus.length ?? 0
    const held = Math.min(total, used.get(id) ?? 0)
    counts.total += total
    counts.used += held
    counts.simulated += inventory?.gpus.filter(gpu => gpu.simulated).length ?? 0
    if (usable.has(id)) counts.free += total - held
    else counts.unavailable += total - held
  }
  return counts
}

/** What is broken; the first of each kind by name. */
function problemsOf({memory, queue, fleet}: ServiceDependencies, nodes: readonly NodeRecord[]): string[] {
  const active = nodes.filter(node => node.admission === 'active')
  const problems: string[] = []
  const tell = (found: readonly NodeRecord[], words: (names: string, count: number) => string) => {
    if (found.length === 0) return
    const names = found.slice(0, 5).map(({name, hostname}) => name || hostname)
    problems.push(words(names.join(', ') + (found.length > 5 ? ` and ${found.length - 5} more` : ''), found.length))
  }
  if (queue.isFrozen())
    problems.push('Most nodes fell silent at once: look at the server’s own network. No claim is given up meanwhile.')
  tell(
    active.filter(({suspendedReason}) => suspendedReason !== ''),
    names => `Suspended: ${names}.`,
  )
  const silent = active.filter(({id}) => ['stale', 'offline'].includes(memory.liveness(id)))
  tell(silent, names => `Silent: ${names}.`)
  const cut = active.filter(({id}) => memory.liveness(id) === 'online' && !fleet.connected(id))
  tell(cut, names => `Not connected: ${names}.`)
  tell(
    active.filter(({id}) => memory.beat(id)?.runtimeState === 'degraded'),
    names => `The container engine does not answer on ${names}.`,
  )
  tell(
    active.filter(({id}) => memory.beat(id)?.gpuState === 'lost'),
    names => `The GPU driver is lost on ${names}.`,
  )
  return problems
}
