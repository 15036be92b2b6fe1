import type {Claim} from '../contract/schemas/claims.ts'
import type {Instance} from '../contract/schemas/instances.ts'
import {allocationId, generationOf, wantedState} from '../domain/allocation.ts'
import type {KnownReport} from '../domain/fleet-memory.ts'
import {type Facts, type Step, step} from '../domain/lifecycle.ts'
import type {Tables} from '../domain/ports.ts'
import type {Allocation} from '../domain/records.ts'
import {type Requeue, WorkQueue} from '../platform/work-queue.ts'
import type {ControllerDependencies} from './dependencies.ts'

export interface ClaimControllerLinks {
  wakeNode(nodeId: string): void
  /** GPUs of the node may have become free. */
  offerChanged(nodeId: string): void
  /** The claim waits, or waits no more. */
  claimChanged(claimId: string, requeue?: {afterMs: number; avoidNode?: string}): void
  isLost(nodeId: string): boolean
}

interface Situation {
  claim: Claim
  instance: Instance
  allocation: Allocation | undefined
}

/** Takes bound claims from step to step by what their nodes tell. Key: claim id. */
export class ClaimController {
  readonly #deps: ControllerDependencies
  readonly #links: ClaimControllerLinks
  readonly #queue: WorkQueue<string>

  constructor(deps: ControllerDependencies, links: ClaimControllerLinks) {
    this.#deps = deps
    this.#links = links
    this.#queue = new WorkQueue<string>({
      reconcile: claimId => this.#reconcile(claimId),
      concurrency: 32,
      clock: deps.clock,
      retry: {baseMs: 250, maxMs: 15_000},
      onError: (key, error) => deps.onError('claim', key, error),
    })
  }

  wake(claimId: string): void {
    this.#queue.add(claimId)
  }

  idle(): Promise<void> {
    return this.#queue.idle()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  async #reconcile(claimId: string): Promise<Requeue | undefined> {
    const {store, journal, clock} = this.#deps
    const seen = await this.#read(store, claimId)
    if (!seen) return
    await this.#clearLeftovers(seen)
    const first = this.#next(seen)
    if (!first.claim && !first.instance && !first.release) return after(first)
    const done = await journal.change(async (tx, record) => {
      const now = await this.#read(tx, claimId)
      if (!now) return
      const next = this.#next(now)
      if (next.claim) await tx.claims.save(next.claim)
      if (next.instance) await tx.instances.save(next.instance)
      const at = new Date(clock.now()).toISOString()
      if (next.release && now.allocation) await tx.allocations.release(now.allocation.id, at)
      if (next.event) await record.event('claim', now.claim, next.event.type, next.event.message)
      return {next, was: now}
    })
    if (!done) return
    this.#follow(done.next, done.was)
    this.#queue.add(claimId) // there may be a next step at once
    return after(done.next)
  }

  /** Tells the others, after the commit. */
  #follow(next: Step, {claim, allocation}: Situation): void {
    const nodeId = allocation?.nodeId ?? claim.status.nodeId
    if (nodeId) this.#links.wakeNode(nodeId)
    if (nodeId && next.release) this.#links.offerChanged(nodeId)
    if (next.requeue) {
      const {afterMs, avoidNode} = next.requeue
      this.#links.claimChanged(claim.id, {afterMs, avoidNode: avoidNode ? nodeId : undefined})
    }
  }

  #next({claim, instance, allocation}: Situation): Step {
    const {memory, clock} = this.#deps
    if (!allocation || allocation.releasedAt !== null) return {}
    const report = memory.report(allocation.id)
    const wanted = {generation: generationOf(instance), state: wantedState(allocation, claim, instance)}
    const facts: Facts = {
      nowMs: clock.now(),
      report,
      isAnswer: report !== undefined && memory.isAnswer(report, wanted),
      nodeLost: this.#links.isLost(allocation.nodeId),
      engineBackAtMs: memory.engineBackAtMs(allocation.nodeId),
    }
    return step(claim, instance, facts)
  }

  /** What a node has let go of, of bindings that are over. */
  async #clearLeftovers({claim, instance}: Situation): Promise<void> {
    const {store, memory} = this.#deps
    for (const report of memory.reportsOfClaim(claim.id)) {
      if (report.state !== 'removed' || !this.#isToldToRemove(report, instance)) continue
      const allocation = await store.allocations.find(report.allocationId)
      if (allocation && allocation.releasedAt === null) continue
      memory.forgetReport(report.nodeId, report.allocationId)
      if (instance.status === 'deleting' && instance.epoch === report.epoch) await this.#markGone(instance.id)
      this.#links.wakeNode(report.nodeId)
      this.#links.offerChanged(report.nodeId)
      if (claim.status.phase === 'Pending') this.#links.claimChanged(claim.id)
    }
  }

  async #markGone(instanceId: string): Promise<void> {
    await this.#deps.journal.change(async tx => {
      const instance = await tx.instances.find(instanceId)
      if (instance?.status !== 'deleting') return
      await tx.instances.save({
        ...instance,
        status: 'exited',
        updatedAt: new Date(this.#deps.clock.now()).toISOString(),
      })
    })
  }

  #isToldToRemove(report: KnownReport, instance: Instance): boolean {
    return this.#deps.memory.isAnswer(report, {generation: generationOf(instance), state: 'removed'})
  }

  async #read(tables: Tables, claimId: string): Promise<Situation | undefined> {
    const claim = await tables.claims.find(claimId)
    const instance = claim && (await tables.instances.find(claim.instanceId))
    if (!claim || !instance) return undefined
    const {epoch} = claim.status
    const id = allocationId(claimId, epoch, this.#deps.secrets)
    return {claim, instance, allocation: epoch === 0 ? undefined : await tables.allocations.find(id)}
  }
}

function after({lookAfterMs}: Step): Requeue | undefined {
  return lookAfterMs === undefined ? undefined : {afterMs: lookAfterMs}
}
