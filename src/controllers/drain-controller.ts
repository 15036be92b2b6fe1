import {allocationId} from '../domain/allocation.ts'
import {fateOf, isDraining, isDue, isForced} from '../domain/drain.ts'
import type {Recorder} from '../domain/journal.ts'
import {leave} from '../domain/lifecycle.ts'
import type {Tables} from '../domain/ports.ts'
import type {Allocation, NodeRecord} from '../domain/records.ts'
import {type Requeue, WorkQueue} from '../platform/work-queue.ts'
import type {ControllerDependencies} from './dependencies.ts'

export interface DrainControllerLinks {
  tickMs: number
  wakeNode(nodeId: string): void
  wakeClaim(claimId: string): void
  offerChanged(nodeId: string): void
  claimChanged(claimId: string): void
}

/** Empties nodes that are drained: moves what can go, ends what is forced to, and says when nothing is left. Key: node id. */
export class DrainController {
  readonly #deps: ControllerDependencies
  readonly #links: DrainControllerLinks
  readonly #queue: WorkQueue<string>
  readonly #draining = new Set<string>()

  constructor(deps: ControllerDependencies, links: DrainControllerLinks) {
    this.#deps = deps
    this.#links = links
    this.#queue = new WorkQueue<string>({
      reconcile: nodeId => this.#reconcile(nodeId),
      concurrency: 4,
      clock: deps.clock,
      retry: {baseMs: 250, maxMs: 15_000},
      onError: (key, error) => deps.onError('drain', key, error),
    })
  }

  async start(): Promise<void> {
    for (const node of await this.#deps.store.nodes.list({admission: 'active'}))
      if (isDraining(node)) this.wake(node.id)
  }

  wake(nodeId: string): void {
    this.#draining.add(nodeId)
    this.#queue.add(nodeId)
  }

  /** Something of the node's work is gone. */
  workChanged(nodeId: string): void {
    if (this.#draining.has(nodeId)) this.#queue.add(nodeId)
  }

  idle(): Promise<void> {
    return this.#queue.idle()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  async #reconcile(nodeId: string): Promise<Requeue | undefined> {
    const {store, clock} = this.#deps
    const node = await store.nodes.find(nodeId)
    if (!node?.drain || !isDraining(node)) {
      this.#draining.delete(nodeId)
      return
    }
    for (const allocation of await store.allocations.listLive(nodeId)) await this.#letGo(allocation, node)
    const left = await this.#left(nodeId)
    if (left === 0) return this.#end(node, 'drained', left)
    const {drain} = node
    if (isDue(drain, clock.now()) && !drain.force) return this.#end(node, 'unfinished', left)
    const untilMs = drain.deadlineAt === null ? Infinity : Date.parse(drain.deadlineAt) - clock.now()
    return {afterMs: untilMs > 0 ? Math.min(this.#links.tickMs, untilMs) : this.#links.tickMs}
  }

  /** Claims that have a place there, and containers of those that had one. */
  async #left(nodeId: string): Promise<number> {
    const {store, memory} = this.#deps
    const live = new Set((await store.allocations.listLive(nodeId)).map(({id}) => id))
    const isGoing = ({state}: {state: string}) => state === 'running' || state === 'created' || state === 'pulling'
    return live.size + memory.reportsOfNode(nodeId).filter(one => isGoing(one) && !live.has(one.allocationId)).length
  }

  /** A node that is away keeps its claims: nobody could tell whether their containers have ended. */
  async #letGo({id, claimId, nodeId}: Allocation, node: NodeRecord): Promise<void> {
    const {fleet, journal} = this.#deps
    if (!fleet.connected(nodeId)) return
    const fate = await journal.change((tx, record) => this.#step(tx, record, {id, claimId, nodeId}, node))
    if (!fate) return
    this.#links.wakeNode(nodeId)
    this.#links.wakeClaim(claimId)
    if (fate === 'moves') this.#links.claimChanged(claimId)
    if (fate === 'moves') this.#links.offerChanged(nodeId)
  }

  async #step(
    tx: Tables,
    record: Recorder,
    {id, claimId, nodeId}: Pick<Allocation, 'id' | 'claimId' | 'nodeId'>,
    {drain: seen}: NodeRecord,
  ): Promise<'moves' | 'ends' | undefined> {
    const {clock, secrets} = this.#deps
    const node = await tx.nodes.find(nodeId)
    const claim = await tx.claims.find(claimId)
    const instance = claim && (await tx.instances.find(claim.instanceId))
    if (!node?.drain || !isDraining(node) || node.drain.startedAt !== seen?.startedAt || !claim || !instance) return
    if (allocationId(claimId, claim.status.epoch, secrets) !== id) return
    const nowMs = clock.now()
    const fate = fateOf(claim, instance, {force: isForced(node.drain, nowMs)})
    if (fate !== 'moves' && fate !== 'ends') return
    const next = leave(claim, instance, fate, nowMs)
    if (next.claim) await tx.claims.save(next.claim)
    if (next.instance) await tx.instances.save(next.instance)
    if (next.release) await tx.allocations.release(id, new Date(nowMs).toISOString())
    if (next.event) await record.event('claim', claim, next.event.type, next.event.message)
    const left = (await tx.allocations.listLive(nodeId)).length
    const words = fate === 'moves' ? 'A claim leaves' : 'A claim is ended on'
    await record.event('node', node, 'Draining', `${words} ${node.name}; ${left} still have a place there.`)
    return fate
  }

  async #end({id, drain: seen}: NodeRecord, state: 'drained' | 'unfinished', left: number): Promise<undefined> {
    const {journal, clock} = this.#deps
    await journal.change(async (tx, record) => {
      const node = await tx.nodes.find(id)
      if (!node?.drain || !isDraining(node) || node.drain.startedAt !== seen?.startedAt) return
      const at = new Date(clock.now()).toISOString()
      await tx.nodes.save({...node, drain: {...node.drain, state, endedAt: at}, updatedAt: at})
      const [type, words] =
        state === 'drained'
          ? ['Drained', `${node.name} is drained: nothing runs there any more.`]
          : ['DrainUnfinished', `The time to drain ${node.name} is over; ${left} still run there.`]
      await record.event('node', node, type!, words!)
    })
    this.#draining.delete(id)
    return
  }
}
