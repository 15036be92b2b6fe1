import type {OutputOf} from '../../contract/contract.ts'
import {problem} from '../errors.ts'
import {statusWord} from '../node.ts'
import {cardsUsed} from '../offers.ts'
import type {NodeRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'

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
  const live = await store.allocations.listLive()
  const used = cardsUsed(live)
  const taken = cardsUsed(live, active)
  const counts = {total: 0, free: 0, used: 0, unavailable: 0, simulated: 0}
  for (const {id, inventory} of active) {
    const total = inventory?.gpus.length ?? 0
    const held = Math.min(total, used.get(id) ?? 0)
    counts.total += total
    counts.used += held
    counts.simulated += inventory?.gpus.filter(gpu => gpu.simulated).length ?? 0
    const free = usable.has(id) ? Math.max(0, total - (taken.get(id) ?? 0)) : 0
    counts.free += free
    counts.unavailable += total - held - free
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
