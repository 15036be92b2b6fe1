import type {OutputOf} from '../../contract/contract.ts'
import type {FleetGpu} from '../../contract/schemas/nodes.ts'
import {type Caller, seesAll} from '../caller.ts'
import {gpusOf, statusWord} from '../node.ts'
import {modelMatches} from '../placement.ts'
import type {NodeRecord} from '../records.ts'
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
  const holders = new Map<string, string>()
  for (const {nodeId, gpus, claimId} of await store.allocations.listLive()) {
    for (const {index} of gpus) holders.set(`${nodeId} ${index}`, claimId)
  }
  const gpus: FleetGpu[] = []
  for (const node of nodes) {
    const isUsable = (refusals.get(node.id) ?? 'unknown') === ''
    for (const gpu of gpusOf(node, memory)) {
      const claimId = holders.get(`${node.id} ${gpu.index}`)
      const claim = claimId === undefined ? undefined : await store.claims.find(claimId)
      const shown = claim && (seesAll(caller) || claim.ownerId === caller.id) ? claim : undefined
      const state = claimId !== undefined ? 'used' : isUsable ? 'free' : 'unavailable'
      const names = {claim: shown?.name ?? null, instance: shown?.name ?? null, owner: shown?.owner ?? null}
      gpus.push({...gpu, node: node.name, nodeId: node.id, state, ...names})
    }
  }
  return gpus
}

export function serverMethods(deps: ServiceDependencies, maintain: () => Promise<void>): Services['server'] {
  const {server} = deps
  return {
    status: () => fleetStatus(deps),
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
  const used = new Map<string, number>()
  for (const {nodeId, gpus} of await store.allocations.listLive())
    used.set(nodeId, (used.get(nodeId) ?? 0) + gpus.length)
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
