import type {Desired, DesiredInstance, MountedSite} from '../contract/agent-protocol.ts'
import type {Claim} from '../contract/schemas/claims.ts'
import type {Instance} from '../contract/schemas/instances.ts'
import {allocationId, containerName, generationOf, restoredOf, volumesOf, wantedState} from '../domain/allocation.ts'
import {factsOf} from '../domain/machine.ts'
import type {Allocation, NodeRecord} from '../domain/records.ts'
import {WorkQueue} from '../platform/work-queue.ts'
import type {ControllerDependencies, ControllerSettings} from './dependencies.ts'

/** Finished instances whose containers a node is asked to keep. */
const mostKept = 100

const nowhere = {pool: 'none', type: 'directory', volume: 'none'} as const

/** Tells each connected node what should run there. Key: node id. */
export class NodeController {
  readonly #deps: ControllerDependencies
  readonly #settings: ControllerSettings
  readonly #queue: WorkQueue<string>
  /** What each node was told over its present link. */
  readonly #told = new Map<string, {text: string; revision: number}>()

  constructor(deps: ControllerDependencies, settings: ControllerSettings) {
    this.#deps = deps
    this.#settings = settings
    this.#queue = new WorkQueue<string>({
      reconcile: nodeId => this.#reconcile(nodeId),
      concurrency: 16,
      clock: deps.clock,
      retry: {baseMs: 250, maxMs: 15_000},
      onError: (key, error) => deps.onError('node', key, error),
    })
  }

  wake(nodeId: string): void {
    this.#queue.add(nodeId)
  }

  /** A new link: whatever was told before is told again, above the revision that the agent has stored. */
  linkOpened(nodeId: string, storedRevision: number): void {
    const revision = Math.max(storedRevision, this.#told.get(nodeId)?.revision ?? 0)
    this.#told.set(nodeId, {text: '', revision})
    this.wake(nodeId)
  }

  /** Of a node that was deleted, before its link goes: nothing is wanted there any more. */
  async dismiss(nodeId: string): Promise<void> {
    const {fleet, clock, serverId} = this.#deps
    if (!fleet.connected(nodeId)) return
    const revision = Math.max(clock.now(), (this.#told.get(nodeId)?.revision ?? 0) + 1)
    this.#told.set(nodeId, {text: '', revision})
    await fleet.agent(nodeId).setDesired({serverId, nodeId, revision, instances: [], goingVolumes: [], isLast: true})
  }

  idle(): Promise<void> {
    return this.#queue.idle()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  async #reconcile(nodeId: string): Promise<undefined> {
    const {fleet, memory, clock, serverId, store} = this.#deps
    if (!fleet.connected(nodeId)) {
      this.#told.delete(nodeId)
      return
    }
    const node = await store.nodes.find(nodeId)
    if (!node) return // dismissed
    const instances = await this.#desired(node)
    const goingVolumes = await store.volumes.going(nodeId)
    const goingSnapshots = await store.instanceSnapshots.going(nodeId)
    const text = JSON.stringify({instances, goingVolumes, goingSnapshots})
    const told = this.#told.get(nodeId)
    if (told?.text === text) return
    const revision = Math.max(clock.now(), (told?.revision ?? 0) + 1)
    memory.noteSent(nodeId, revision, instances)
    this.#told.set(nodeId, {text: '', revision})
    const desired: Desired = {serverId, nodeId, revision, instances, goingVolumes, goingSnapshots}
    await fleet.agent(nodeId).setDesired(desired)
    if (this.#told.get(nodeId)?.revision === revision) this.#told.set(nodeId, {text, revision})
    return
  }

  /** Live allocations; what is finished and kept for its logs; and what the node still has of work that went elsewhere. */
  async #desired(node: NodeRecord): Promise<DesiredInstance[]> {
    const {store, memory, secrets, clock} = this.#deps
    const wanted = new Map<string, DesiredInstance>()
    const {id: nodeId} = node
    const {hamiCore} = factsOf(node)
    for (const allocation of await store.allocations.listLive(nodeId)) {
      const claim = await store.claims.find(allocation.claimId)
      const instance = claim && (await store.instances.find(claim.instanceId))
      if (!claim || !instance) continue
      wanted.set(
        allocation.id,
        await this.#describe(allocation, claim, instance, wantedState(allocation, claim, instance), hamiCore),
      )
    }
    const finished = await store.instances.list({
      nodeId,
      live: false,
      statuses: ['exited', 'failed', 'stopping', 'deleting'],
      limit: mostKept,
    })
    for (const instance of finished) {
      const id = allocationId(instance.claimId, instance.epoch, secrets)
      if (wanted.has(id) || instance.epoch === 0) continue
      const isDeleted = instance.desired === 'deleted'
      if (isDeleted && (instance.status !== 'deleting' || !memory.report(id))) continue
      if (clock.now() - Date.parse(instance.finishedAt ?? instance.updatedAt) > this.#settings.keepExitedMs) continue
      const allocation = await store.allocations.find(id)
      const claim = await store.claims.find(instance.claimId)
      if (!allocation || !claim || allocation.nodeId !== nodeId) continue
      wanted.set(id, await this.#describe(allocation, claim, instance, isDeleted ? 'removed' : 'stopped', hamiCore))
    }
    for (const report of memory.reportsOfNode(nodeId)) {
      if (wanted.has(report.allocationId)) continue
      const allocation = await store.allocations.find(report.allocationId)
      const claim = allocation && (await store.claims.find(allocation.claimId))
      const instance = claim && (await store.instances.find(claim.instanceId))
      if (allocation && claim && instance) {
        wanted.set(allocation.id, await this.#describe(allocation, claim, instance, 'removed', hamiCore))
      }
    }
    // Of two bindings of one claim the newer comes last: it is the one whose epoch the agent remembers.
    return [...wanted.values()].sort((a, b) => a.epoch - b.epoch || (a.allocationId < b.allocationId ? -1 : 1))
  }

  async #describe(
    allocation: Allocation,
    claim: Claim,
    instance: Instance,
    state: DesiredInstance['state'],
    hamiCore: string,
  ): Promise<DesiredInstance> {
    const {spec} = claim
    const volumes = volumesOf(claim.id, spec)
    const sites = await this.#sitesOf(claim, allocation.nodeId)
    const restored = restoredOf(instance, allocation)
    const isSplit = allocation.gpus.some(({share}) => share)
    return {
      allocationId: allocation.id,
      instanceId: instance.id,
      claimId: claim.id,
      epoch: allocation.epoch,
      containerName: containerName(claim.id, allocation.epoch),
      name: claim.name,
      owner: claim.owner,
      image: spec.image,
      command: spec.command,
      env: spec.env ?? {},
      labels: spec.labels ?? {},
      gpus: allocation.gpus.map(({index, uuid, share}) => {
        return share ? {index, uuid, share: {memoryMiB: share.memoryMiB, percent: share.percent}} : {index, uuid}
      }),
      ...(isSplit ? {hamiCore} : {}),
      cpus: spec.cpus,
      memoryMiB: spec.memoryMiB,
      ...(spec.systemDiskGiB === undefined ? {} : {systemDiskGiB: spec.systemDiskGiB}),
      ...(volumes.length > 0 ? {volumes} : {}),
      ...(sites.length > 0 ? {sites} : {}),
      ...(restored ? {restored} : {}),
      state,
      generation: generationOf(instance),
      graceSeconds: this.#deps.memory.graceSeconds(allocation.id),
    }
  }
  /** One that is not on this node any more is named so that the node has none: nothing starts without its files. */
  async #sitesOf({spec}: Claim, nodeId: string): Promise<MountedSite[]> {
    const {store} = this.#deps
    const mounted: MountedSite[] = []
    for (const {site: id, path, readOnly = false} of spec.volumes ?? []) {
      const site = await store.sites.find(id)
      const pool = site?.nodeId === nodeId ? await store.pools.find(site.poolId ?? '') : undefined
      const at = pool && site ? {pool: pool.name, type: pool.type, volume: site.name} : nowhere
      mounted.push({...at, path, readOnly})
    }
    return mounted
  }
}
