import {setImmediate as nextTurn} from 'node:timers/promises'
import type {Claim} from '../contract/schemas/claims.ts'
import {allocationId, containerName, volumesOf} from '../domain/allocation.ts'
import {move} from '../domain/claim.ts'
import {drainedReason} from '../domain/drain.ts'
import {isProblem} from '../domain/errors.ts'
import type {Recorder} from '../domain/journal.ts'
import {offerOf} from '../domain/offers.ts'
import {type Placement, Planner} from '../domain/planner.ts'
import {GpuTaken, type QueueView, type Tables} from '../domain/ports.ts'
import {heldBy} from '../domain/product.ts'
import type {Allocation, NodeRecord} from '../domain/records.ts'
import {type Requeue, WorkQueue} from '../platform/work-queue.ts'
import type {ControllerDependencies} from './dependencies.ts'

/** Placements that share a transaction; more of them would hold the event loop for too long. */
const mostPerTransaction = 50
/** The longest time that planning and reading hold the event loop. */
const longestSliceMs = 10
/** Waiting claims that are taken in at once when the server starts. */
const claimsPerTurn = 1_000
/** How long the container of a claim that was moved away may take to end, and how often it is looked at. */
const endsWithinMs = 120_000
const endsAgainMs = 1_000
const pass = 'pass'

interface Retry {
  afterMs: number
  avoided: string[]
  dueMs: number
}

export interface QueueControllerLinks {
  wakeNode(nodeId: string): void
  isFrozen(): boolean
}

/**
 * Keeps the queue and the free GPUs in memory and binds claims to them. The store has the last word: what it refuses is
 * read again. One key; what changed is collected until the pass begins.
 */
export class QueueController {
  readonly #deps: ControllerDependencies
  readonly #links: QueueControllerLinks
  readonly #queue: WorkQueue<typeof pass>
  readonly #planner = new Planner()
  readonly #changedClaims = new Set<string>()
  readonly #changedNodes = new Set<string>()
  readonly #retries = new Map<string, Retry>()
  #hasNodes = false
  #hasClaims = false
  #looksAgain = false

  constructor(deps: ControllerDependencies, links: QueueControllerLinks) {
    this.#deps = deps
    this.#links = links
    this.#queue = new WorkQueue<typeof pass>({
      reconcile: () => this.#pass(),
      concurrency: 1,
      clock: deps.clock,
      retry: {baseMs: 100, maxMs: 5_000},
      onError: (key, error) => deps.onError('queue', key, error),
    })
  }

  /** The services' view. */
  get view(): QueueView {
    const planner = this.#planner
    return {
      offers: () => planner.offers(),
      position: claimId => planner.position(claimId) ?? null,
      countAhead: claim => planner.countAhead(claim),
      fits: spec => planner.fits(spec),
      revision: () => planner.revision,
      isPossible: spec => planner.isPossible(spec),
      reservation: () => planner.reservation,
      isFrozen: () => this.#links.isFrozen(),
    }
  }

  claimChanged(claimId: string, retry?: {afterMs: number; avoidNode?: string}): void {
    if (retry) {
      const avoided = new Set(this.#retries.get(claimId)?.avoided)
      if (retry.avoidNode) avoided.add(retry.avoidNode)
      const dueMs = this.#deps.clock.monotonic() + retry.afterMs
      this.#retries.set(claimId, {afterMs: retry.afterMs, avoided: [...avoided], dueMs})
    }
    this.#changedClaims.add(claimId)
    this.#queue.add(pass)
  }

  nodeChanged(nodeId: string): void {
    this.#changedNodes.add(nodeId)
    this.#queue.add(pass)
  }

  /** Time has passed: what waits long enough reserves, and silent nodes offer nothing. */
  tick(): void {
    this.#looksAgain = true
    this.#queue.add(pass)
  }

  /** Reads the nodes. The waiting claims follow in the first pass: a long queue does not delay the start. */
  async load(): Promise<void> {
    const {store} = this.#deps
    const held = new Map<string, Allocation[]>()
    for (const allocation of await store.allocations.listLive()) {
      const known = held.get(allocation.nodeId)
      if (known) known.push(allocation)
      else held.set(allocation.nodeId, [allocation])
    }
    for (const node of await store.nodes.list({admission: 'active'})) await this.#offer(node, held.get(node.id) ?? [])
    this.#hasNodes = true
  }

  idle(): Promise<void> {
    return this.#queue.idle()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  async #pass(): Promise<Requeue | undefined> {
    const {clock} = this.#deps
    if (!this.#hasNodes) await this.load()
    if (!this.#hasClaims) await this.#loadClaims()
    await this.#readChanges()
    for (;;) {
      const startMs = clock.monotonic()
      const until = () => clock.monotonic() - startMs > longestSliceMs
      const placements = this.#planner.next(clock.now(), {most: mostPerTransaction, until})
      if (placements.length > 0) await this.#bindAll(placements)
      if (this.#planner.isDone) break
      if (this.#changedClaims.size + this.#changedNodes.size > 0) await this.#readChanges()
      await nextTurn()
    }
    // What was refused has been marked: it is read again in the next pass.
    if (this.#changedClaims.size + this.#changedNodes.size > 0) this.#queue.add(pass)
    return this.#nextRetry()
  }

  #nextRetry(): Requeue | undefined {
    const nowMs = this.#deps.clock.monotonic()
    const waits = [...this.#retries].filter(([, {dueMs}]) => dueMs > nowMs)
    for (const [claimId] of waits) this.#changedClaims.add(claimId)
    return waits.length === 0 ? undefined : {afterMs: Math.min(...waits.map(([, {dueMs}]) => dueMs - nowMs))}
  }

  /** What changes meanwhile has been marked, and is read after it. */
  async #loadClaims(): Promise<void> {
    const {claims} = this.#deps.store
    let page = await claims.pending({limit: claimsPerTurn})
    while (page.length > 0) {
      for (const {id, number, createdAt, spec} of page) {
        this.#planner.add({id, number, spec, createdAtMs: Date.parse(createdAt), excluded: this.#excluded(id)})
      }
      await nextTurn()
      page = page.length < claimsPerTurn ? [] : await claims.pending({after: page.at(-1), limit: claimsPerTurn})
    }
    this.#hasClaims = true
  }

  async #readChanges(): Promise<void> {
    const {store, clock, fleet, memory} = this.#deps
    if (this.#looksAgain) {
      this.#looksAgain = false
      this.#planner.lookAgain()
      for (const {nodeId, refusal} of this.#planner.offers()) {
        const isUsable = fleet.connected(nodeId) && memory.liveness(nodeId) === 'online'
        if (isUsable !== (refusal === '')) this.#changedNodes.add(nodeId)
      }
    }
    const nodes = [...this.#changedNodes]
    const claims = [...this.#changedClaims]
    this.#changedNodes.clear()
    this.#changedClaims.clear()
    try {
      let sliceMs = clock.monotonic()
      const breathe = async () => {
        if (clock.monotonic() - sliceMs < longestSliceMs) return
        await nextTurn()
        sliceMs = clock.monotonic()
      }
      for (const nodeId of nodes) {
        const node = await store.nodes.find(nodeId)
        if (node?.admission === 'active') await this.#offer(node, await store.allocations.listLive(nodeId))
        else this.#planner.deleteOffer(nodeId)
        await breathe()
      }
      for (const claimId of claims) {
        await this.#readClaim(claimId, clock.monotonic())
        await breathe()
      }
    } catch (error) {
      for (const nodeId of nodes) this.#changedNodes.add(nodeId)
      for (const claimId of claims) this.#changedClaims.add(claimId)
      throw error
    }
  }

  async #readClaim(claimId: string, nowMs: number): Promise<void> {
    const claim = await this.#deps.store.claims.find(claimId)
    if (claim?.status.phase !== 'Pending') {
      this.#planner.remove(claimId)
      if (claim?.status.phase !== 'Scheduled') this.#retries.delete(claimId)
      return
    }
    const retry = this.#retries.get(claimId)
    if (retry && retry.dueMs > nowMs) {
      this.#planner.remove(claimId)
      return
    }
    if (this.#isStillEnding(claim)) {
      this.#retries.set(claimId, {afterMs: endsAgainMs, avoided: retry?.avoided ?? [], dueMs: nowMs + endsAgainMs})
      this.#planner.remove(claimId)
      return
    }
    const {id, number, createdAt, spec} = claim
    const excluded = this.#excluded(id)
    this.#planner.add({id, number, spec, createdAtMs: Date.parse(createdAt), excluded, avoided: retry?.avoided})
  }

  /** Its container on a drained node ends in peace before the next one begins. */
  #isStillEnding({id, status, updatedAt}: Claim): boolean {
    const {clock, memory, fleet} = this.#deps
    if (status.reason !== drainedReason || clock.now() - Date.parse(updatedAt) > endsWithinMs) return false
    return memory.reportsOfClaim(id).some(({state, nodeId}) => state === 'running' && fleet.connected(nodeId))
  }

  /** Nodes that still have a container of an earlier binding of the claim. */
  #excluded(claimId: string): string[] {
    return this.#deps.memory.reportsOfClaim(claimId).map(({nodeId}) => nodeId)
  }

  async #offer(node: NodeRecord, live: readonly Allocation[]): Promise<void> {
    const {memory, fleet, store} = this.#deps
    const held = [...live]
    for (const {allocationId, state} of memory.reportsOfNode(node.id)) {
      if (state !== 'running' && state !== 'created' && state !== 'pulling') continue
      if (live.some(({id}) => id === allocationId)) continue
      const leftover = await store.allocations.find(allocationId)
      if (leftover) held.push(leftover)
    }
    this.#planner.setOffer(offerOf(node, held, {memory, connected: fleet.connected(node.id)}))
  }

  async #bindAll(placements: readonly Placement[]): Promise<void> {
    try {
      await this.#bind(placements)
    } catch (error) {
      if (!(error instanceof GpuTaken) && !isProblem(error, 'changed_meanwhile')) {
        for (const placement of placements) this.#distrust(placement)
        throw error
      }
      for (const placement of placements) await this.#bind([placement]).catch(() => this.#distrust(placement))
    }
    for (const nodeId of new Set(placements.map(placement => placement.nodeId))) this.#links.wakeNode(nodeId)
  }

  /** The store knows better: both are read again. */
  #distrust({claim, nodeId}: Placement): void {
    this.#changedClaims.add(claim.id)
    this.#changedNodes.add(nodeId)
  }

  async #bind(placements: readonly Placement[]): Promise<void> {
    const bound = await this.#deps.journal.change(async (tx, record) => {
      const done: Placement[] = []
      for (const placement of placements) if (await this.#bindOne(tx, record, placement)) done.push(placement)
      return done
    })
    for (const placement of placements) if (!bound.includes(placement)) this.#distrust(placement)
  }

  /** Claim, instance and GPUs in one transaction; false when the claim does not wait any more. */
  async #bindOne(
    tx: Tables,
    record: Recorder,
    {claim: {id}, nodeId, nodeName, runtime, gpus}: Placement,
  ): Promise<boolean> {
    const claim = await tx.claims.find(id)
    const instance = claim && (await tx.instances.find(claim.instanceId))
    if (claim?.status.phase !== 'Pending' || !instance) return false
    const {clock, secrets} = this.#deps
    const at = new Date(clock.now()).toISOString()
    const epoch = claim.status.epoch + 1
    const held = heldBy(claim.spec, gpus)
    const {cpus = 0, memoryMiB = 0, systemDiskGiB, dataDiskGiB} = claim.spec
    await tx.allocations.bind({
      id: allocationId(id, epoch, secrets),
      claimId: id,
      instanceId: instance.id,
      nodeId,
      epoch,
      gpus: held,
      cpus,
      memoryMiB,
      ...(systemDiskGiB === undefined ? {} : {systemDiskGiB}),
      ...(dataDiskGiB === undefined ? {} : {dataDiskGiB}),
      createdAt: at,
      releasedAt: null,
    })
    const volumes = volumesOf(id, claim.spec)
    for (const {name} of volumes) await tx.volumes.note({name, nodeId, claimId: id})
    await tx.claims.save(move(claim, 'Scheduled', at, {nodeId, nodeName, gpus: held, epoch, reason: ''}))
    const name = containerName(id, epoch)
    const placed = {node: nodeName, nodeId, runtime, gpus: held, epoch, containerName: name, reason: '', updatedAt: at}
    await tx.instances.save({...instance, ...placed, ...(volumes.length > 0 ? {volumes} : {}), status: 'creating'})
    await record.event('claim', claim, 'Scheduled', `${claim.name} goes to ${nodeName}.`)
    return true
  }
}
