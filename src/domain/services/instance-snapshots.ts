import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Claim} from '../../contract/schemas/claims.ts'
import type {InstanceSnapshot} from '../../contract/schemas/instance-snapshots.ts'
import type {Instance} from '../../contract/schemas/instances.ts'
import {allocationId} from '../allocation.ts'
import {type Caller, hasRole, seesAll} from '../caller.ts'
import {isFinal} from '../claim.ts'
import {problem} from '../errors.ts'
import {snapshotInstance} from '../recipes/instance-recipes.ts'
import type {InstanceSnapshotRecord, NodeRecord} from '../records.ts'
import {publicTask} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {TaskService} from './tasks.ts'

/** Of one instance. */
const mostSnapshots = 10

interface SnapshotParts {
  tasks: TaskService
  /** One that the caller sees. Throws not_found. */
  get: (reference: string, caller: Caller) => Promise<Instance>
}

/** What instances were: images on their nodes, which go when the instance is deleted. */
export class InstanceSnapshots {
  readonly #deps: ServiceDependencies
  readonly #parts: SnapshotParts

  constructor(deps: ServiceDependencies, parts: SnapshotParts) {
    this.#deps = deps
    this.#parts = parts
  }

  async list({id}: InputOf<'instances.snapshots'>, caller: Caller): Promise<InstanceSnapshot[]> {
    const instance = await this.#parts.get(id, caller)
    const found = await this.#deps.store.instanceSnapshots.list(instance.id)
    return Promise.all(found.map(snapshot => this.#shown(snapshot, instance)))
  }

  async create(
    {id, name = this.#nameNow(), push}: InputOf<'instances.snapshot'>,
    caller: Caller,
  ): Promise<OutputOf<'instances.snapshot'>> {
    const instance = await this.#parts.get(id, caller)
    const node = await this.#nodeOf(instance)
    if (push) await this.#checkMayPush(node, caller)
    const {journal, secrets, clock} = this.#deps
    const {nodeId, containerId} = instance
    const at = new Date(clock.now()).toISOString()
    const made = await journal.change(async (tx, record) => {
      const now = await tx.instances.lock(instance.id)
      if (!now || now.desired === 'deleted')
        throw problem('instance_finished', {name: instance.name, status: 'deleted'})
      const known = await tx.instanceSnapshots.list(instance.id)
      if (known.length >= mostSnapshots) {
        const reason = `it has ${known.length} snapshots`
        throw problem('snapshot_impossible', {
          name: instance.name,
          reason,
          fix: 'Delete one that is not needed any more.',
        })
      }
      const snapshot = await tx.instanceSnapshots.insert({
        ...{id: secrets.uuid(), createdAt: at, updatedAt: at, name, instanceId: instance.id, nodeId},
        ...{ownerId: instance.ownerId, createdBy: caller.username, state: 'creating', imageId: '', sizeBytes: null},
      })
      const names = {instance: instance.name, snapshot: name, node: node.name}
      const input = {...names, nodeId, containerId, instanceId: instance.id, snapshotId: snapshot.id, push}
      const task = await this.#parts.tasks.submit(
        {tx, record},
        {recipe: snapshotInstance, input, node: node.name, caller},
      )
      if (push) await record.audit(caller, 'instances.snapshot', instance.id, {...names, push})
      return {snapshot, task}
    })
    this.#parts.tasks.start(made.task)
    return {snapshot: await this.#shown(made.snapshot, instance), task: publicTask(made.task)}
  }

  /** It is done with the login of the node, which opens what is not the owner's. */
  async #checkMayPush({id, name}: NodeRecord, caller: Caller): Promise<void> {
    if (seesAll(caller)) return
    const own = hasRole(caller, 'node_admin') ? await this.#deps.store.nodeAdmins.nodesOf(caller.id) : []
    if (!own.includes(id)) throw problem('push_not_allowed', {node: name})
  }

  /** By its node, which keeps the container as it is where the new one cannot be made or started. */
  async restore({id, snapshot: name, graceSeconds}: InputOf<'instances.restore'>, caller: Caller): Promise<Instance> {
    const {store, journal, memory, secrets, clock, wake} = this.#deps
    const seen = await this.#parts.get(id, caller)
    await this.#checkKept(seen, named(await store.instanceSnapshots.list(seen.id), name))
    const saved = await journal.change(async (tx, record) => {
      const instance = await tx.instances.lock(seen.id)
      const claim = instance && (await tx.claims.find(instance.claimId))
      if (!instance || !claim) throw problem('not_found', {kind: 'instance', name: id})
      const {id: snapshotId, name: snapshot, imageId} = named(await tx.instanceSnapshots.list(instance.id), name)
      checkStands(instance, claim)
      const count = (instance.restore?.count ?? 0) + 1
      const restore = {
        snapshotId,
        snapshot,
        imageId,
        count,
        epoch: instance.epoch,
        state: 'pending' as const,
        message: '',
      }
      const again = {restarts: instance.restarts + 1, status: 'creating' as const, reason: `Restoring ${snapshot}`}
      const runs = instance.desired === 'running' ? again : {}
      const updatedAt = new Date(clock.now()).toISOString()
      const next = await tx.instances.save({...instance, ...runs, restore, updatedAt})
      const words = `${caller.username} makes ${next.name} again what it was at snapshot ${snapshot}.`
      await record.event('instance', next, 'RestoreAsked', words, caller.username)
      await record.audit(caller, 'instances.restore', next.id, {name: next.name, snapshot})
      return next
    })
    memory.setGrace(allocationId(saved.claimId, saved.epoch, secrets), graceSeconds)
    wake('node', saved.nodeId)
    wake('claim', saved.claimId)
    return saved
  }

  /** On the node of the instance, by what that says. */
  async #checkKept({id: instanceId, name, nodeId}: Instance, snapshot: InstanceSnapshotRecord): Promise<void> {
    if (snapshot.state === 'creating') throw problem('snapshot_unfinished', {name: snapshot.name})
    const refuse = (reason: string, fix: string) =>
      problem('restore_impossible', {name, snapshot: snapshot.name, reason, fix})
    if (snapshot.nodeId !== nodeId) throw refuse('it lies on another node', 'Copy its files with `gpuctl instance cp`.')
    const found = await this.#deps.fleet.agent(nodeId).findSnapshot({instanceId, snapshotId: snapshot.id})
    if (!found) throw refuse('its image is gone from the node', 'Choose another snapshot.')
  }

  async delete({id, snapshot: name}: InputOf<'instances.deleteSnapshot'>, caller: Caller): Promise<{done: true}> {
    const instance = await this.#parts.get(id, caller)
    const {journal, wake} = this.#deps
    const nodes = await journal.change(async (tx, record) => {
      const {madeOf, restore, desired} = (await tx.instances.lock(instance.id)) ?? instance
      const snapshot = named(await tx.instanceSnapshots.list(instance.id), name)
      if (snapshot.state === 'creating') throw problem('snapshot_unfinished', {name: snapshot.name})
      const used = [madeOf, restore?.state === 'pending' ? restore : undefined]
      if (desired !== 'deleted' && used.some(one => one?.snapshotId === snapshot.id))
        throw problem('snapshot_in_use', {name: instance.name, snapshot: snapshot.name})
      const details = {instance: instance.name, snapshot: snapshot.name}
      await record.audit(caller, 'instances.deleteSnapshot', instance.id, details)
      return tx.instanceSnapshots.letGo(instance.id, snapshot.id)
    })
    for (const nodeId of nodes) wake('node', nodeId)
    return {done: true}
  }

  /** The node that has its container. */
  async #nodeOf({name, status, desired, containerId, nodeId}: Instance): Promise<NodeRecord> {
    if (desired === 'deleted') throw problem('instance_finished', {name, status})
    const node = nodeId && containerId ? await this.#deps.store.nodes.find(nodeId) : undefined
    if (!node) throw problem('instance_not_running', {name, status})
    if (!this.#deps.fleet.connected(nodeId)) throw problem('node_offline', {name: node.name})
    if (node.inventory?.images === false) {
      const fix = 'Copy its files with `gpuctl instance cp`.'
      throw problem('snapshot_impossible', {name, reason: `${node.name} runs processes, which have no image`, fix})
    }
    return node
  }

  async #shown(
    {ownerId: _, ...snapshot}: InstanceSnapshotRecord,
    {name: instance}: Instance,
  ): Promise<InstanceSnapshot> {
    const node = await this.#deps.store.nodes.find(snapshot.nodeId)
    return {...snapshot, instance, node: node?.name ?? ''}
  }

  /** As `2026-01-31T07-05-09Z`. */
  #nameNow(): string {
    return new Date(this.#deps.clock.now()).toISOString().replace(/\.\d+/, '').replaceAll(':', '-')
  }
}

/** It has a container to be replaced, and nothing else is under way with that. */
function checkStands({name, status, containerId, restore}: Instance, {status: {phase}}: Claim): void {
  if (isFinal(phase)) throw problem('instance_finished', {name, status})
  if (phase !== 'Running' || !containerId) throw problem('instance_not_running', {name, status})
  if (restore?.state !== 'pending') return
  const fix = 'Wait for its end: `gpuctl instance get` tells of it.'
  throw problem('restore_impossible', {name, snapshot: restore.snapshot, reason: 'a restore is under way', fix})
}

/** By name or id. Throws not_found. */
function named(snapshots: readonly InstanceSnapshotRecord[], reference: string): InstanceSnapshotRecord {
  const found = snapshots.find(({name}) => name === reference) ?? snapshots.find(({id}) => id === reference)
  if (!found) throw problem('not_found', {kind: 'instance snapshot', name: reference})
  return found
}
