import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Site} from '../../contract/schemas/sites.ts'
import type {Task} from '../../contract/schemas/tasks.ts'
import type {StorageInput} from '../../contract/storage-protocol.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {Tables} from '../ports.ts'
import {cloneSite, createSite, destroySite, type SiteCreationWork, type SiteWork} from '../recipes/site-recipes.ts'
import type {NodeRecord, PoolRecord, SiteRecord} from '../records.ts'
import {tryOnly} from '../rehearsal.ts'
import {newSite} from '../sites.ts'
import {bytesPerGb, inGb} from '../storage-quota.ts'
import {isPassing, publicTask, type Recipe} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import type {PoolService} from './pools.ts'
import {publicSite, readyVolume, type SiteFinder} from './site-finder.ts'
import type {TaskService} from './tasks.ts'

export interface SiteParts {
  keeping: NodeKeeping
  finder: SiteFinder
  tasks: TaskService
  pools: PoolService
}

interface WantedSite {
  name: string
  quotaBytes: number
  node: NodeRecord
  pool: PoolRecord
  owner: {id: string; username: string}
}

const smallestBytes = 2 ** 20

/** Sites as volumes: made, resized and destroyed on a pool of their node. */
export class SiteVolumes {
  readonly #deps: ServiceDependencies
  readonly #parts: SiteParts

  constructor(deps: ServiceDependencies, parts: SiteParts) {
    this.#deps = deps
    this.#parts = parts
  }

  async create(input: InputOf<'sites.create'>, caller: Caller): Promise<OutputOf<'sites.create'>> {
    const {name, quotaBytes, owner, dryRun} = input
    const node = await this.#parts.keeping.own(input.node, caller)
    const pool = await this.#parts.pools.on(node, input.pool, caller)
    const volume = {pool: pool.name, type: pool.type, volume: name}
    await this.#checkName(node, name)
    const commands = await this.#plan(node.id, 'volume.create', {...volume, quotaBytes, mark: 'task'})
    const wanted = {name, quotaBytes, node, pool, owner: await this.#ownerOf(owner, caller)}
    const make = (one: Caller) => this.#make(wanted, createSite, {}, one)
    return dryRun ? this.#tried(make, commands, caller) : {...(await make(caller)), commands}
  }

  async clone(input: InputOf<'sites.clone'>, caller: Caller): Promise<OutputOf<'sites.clone'>> {
    const {name, snapshot, owner, dryRun} = input
    const from = await this.#parts.finder.findVolume(input.id, caller, 'administered')
    const {quotaBytes = from.quotaBytes} = input
    const node = await this.#parts.keeping.own(from.nodeId, caller)
    const pool = await this.#parts.pools.on(node, from.poolId, caller)
    await this.#checkName(node, name)
    const volume = {pool: pool.name, type: pool.type, volume: from.name}
    const known = await this.#deps.fleet.agent(node.id).storage('snapshots.list', volume)
    if (!known.some(one => one.snapshot === snapshot)) {
      throw problem('not_found', {kind: 'site snapshot', name: snapshot})
    }
    const commands = await this.#plan(node.id, 'snapshot.clone', {...volume, snapshot, to: name, mark: 'task'})
    const wanted = {name, quotaBytes, node, pool, owner: await this.#ownerOf(owner, caller)}
    const make = (one: Caller) => this.#make(wanted, cloneSite, {from: from.name, snapshot}, one)
    return dryRun ? this.#tried(make, commands, caller) : {...(await make(caller)), commands}
  }

  async #tried(make: (caller: Caller) => Promise<unknown>, commands: string[], caller: Caller) {
    await tryOnly(make, caller)
    return {site: null, task: null, commands}
  }

  async delete({id, confirm, dryRun}: InputOf<'sites.delete'>, caller: Caller): Promise<OutputOf<'sites.delete'>> {
    const found = await this.#parts.finder.findVolume(id, caller)
    const work = await this.workOf(found)
    if (dryRun) {
      await tryOnly(one => this.delete({id, confirm: found.name}, one), caller)
      const {pool, type, volume} = work
      return {task: null, commands: await this.#plan(found.nodeId, 'volume.delete', {pool, type, volume})}
    }
    if (confirm !== found.name) throw problem('confirmation_missing', {kind: 'site', name: found.name})
    const task = await this.#deps.journal.change(async (tx, record) => {
      const site = await tx.sites.find(found.id)
      if (!site) throw problem('not_found', {kind: 'site', name: id})
      // Written first: who mounts it at this moment waits, and then finds it going.
      await tx.sites.save({...readyVolume(site), status: 'deleting', updatedAt: this.#now()})
      const mounts = await tx.sites.mountedBy(site.id)
      if (mounts.length > 0) throw problem('site_in_use', {name: site.name, claims: claimNames(mounts)})
      return this.#parts.tasks.submit({tx, record}, {recipe: destroySite, input: work, node: work.node, caller})
    })
    this.#parts.tasks.start(task)
    return {task: publicTask(task), commands: []}
  }

  /** The wish is kept and told to the node; one that is away hears of it when it is back. A refusal takes it back. */
  async setQuota({id: reference, quotaBytes}: InputOf<'sites.setQuota'>, caller: Caller): Promise<SiteRecord> {
    const found = await this.#parts.finder.find(reference, caller, {reach: 'administered'})
    if (found.poolId !== null && quotaBytes < smallestBytes) {
      const fix = 'Ask for at least 1 MiB.'
      throw problem('input_invalid', {field: 'quotaBytes', problem: 'is too small for a volume', fix})
    }
    const site = await this.#recordQuota(found, quotaBytes, caller)
    if (site.poolId === null || site.enforcedBytes === null) return site
    try {
      const {pool, type, volume} = await this.workOf(site)
      const input = {pool, type, volume, quotaBytes}
      const {quotaBytes: enforcedBytes} = await this.#deps.fleet.agent(site.nodeId).storage('volume.quota', input)
      return await this.#save(site.id, {enforcedBytes})
    } catch (error) {
      if (isPassing(error)) return site
      await this.#save(site.id, {quotaBytes: found.quotaBytes})
      throw error
    }
  }

  /** Where it lies, for the agent. */
  async workOf(site: SiteRecord): Promise<SiteWork> {
    const {store} = this.#deps
    const pool = await store.pools.find(site.poolId ?? '')
    if (!pool) throw problem('site_no_volume', {name: site.name})
    const node = (await store.nodes.find(site.nodeId))?.name ?? site.nodeId
    return {siteId: site.id, nodeId: site.nodeId, node, pool: pool.name, type: pool.type, volume: site.name}
  }

  /** The record of the site and the task that makes its volume. */
  async #make<W extends SiteCreationWork>(
    {name, quotaBytes, node, pool, owner}: WantedSite,
    recipe: Recipe<W>,
    rest: Omit<W, keyof SiteCreationWork>,
    caller: Caller,
  ): Promise<{site: Site; task: Task}> {
    const {journal, secrets} = this.#deps
    const made = await journal.change(async (tx, record) => {
      const now = await tx.nodes.find(node.id)
      if (!now || (await tx.pools.find(pool.id))?.state !== 'ready') {
        throw problem('not_found', {kind: 'pool', name: pool.name})
      }
      await checkRoom(tx, now, {name, quotaBytes: 0}, quotaBytes)
      // The node's row counts up with each quota on it, so that two of them do not both see the same room.
      await tx.nodes.save(now)
      const site = await tx.sites.insert({
        ...newSite(secrets.uuid(), this.#now()),
        ...{name, nodeId: node.id, poolId: pool.id, quotaBytes, usedBytes: 0, status: 'creating'},
        ...{owner: owner.username, ownerId: owner.id},
      })
      const where = {siteId: site.id, nodeId: node.id, node: node.name, pool: pool.name, type: pool.type, volume: name}
      const work = {...where, quotaBytes, ...rest} as unknown as W
      const task = await this.#parts.tasks.submit({tx, record}, {recipe, input: work, node: node.name, caller})
      return {site, task}
    })
    this.#parts.tasks.start(made.task)
    return {site: publicSite(made.site, {node: node.name, pool: pool.name}), task: publicTask(made.task)}
  }

  async #ownerOf(username: string | undefined, caller: Caller): Promise<{id: string; username: string}> {
    if (username === undefined) return caller
    const owner = await this.#deps.store.users.findByName(username)
    if (!owner) throw problem('not_found', {kind: 'user', name: username})
    return owner
  }

  async #checkName({id}: NodeRecord, name: string): Promise<void> {
    if (await this.#deps.store.sites.findByName(id, name)) throw problem('name_taken', {kind: 'site', name})
  }

  #recordQuota({id, name, nodeId}: SiteRecord, quotaBytes: number, caller: Caller): Promise<SiteRecord> {
    return this.#deps.journal.change(async (tx, record) => {
      // The node's row counts up with each change of a quota on it, so that two of them do not both see the same room.
      const node = await tx.nodes.find(nodeId)
      const before = await tx.sites.find(id)
      if (!node || !before) throw problem('not_found', {kind: 'site', name})
      await checkRoom(tx, node, before, quotaBytes)
      if (quotaBytes > before.quotaBytes) await tx.nodes.save(node)
      const after = await tx.sites.save({...before, quotaBytes, updatedAt: this.#now()})
      const words = `${caller.username} set the quota of site ${after.name} to ${inGb(quotaBytes)} GB.`
      await record.event('node', {id: nodeId, name: node.name}, 'SiteQuotaChanged', words, caller.username)
      await record.audit(caller, 'sites.setQuota', id, {quotaBytes})
      return after
    })
  }

  #save(id: string, fields: Partial<SiteRecord>): Promise<SiteRecord> {
    return this.#deps.store.transaction(async tx => {
      const site = await tx.sites.find(id)
      if (!site) throw problem('not_found', {kind: 'site', name: id})
      return tx.sites.save({...site, ...fields})
    })
  }

  #plan(nodeId: string, method: StorageInput<'plan'>['method'], input: object): Promise<string[]> {
    return this.#deps.fleet.agent(nodeId).storage('plan', {method, input})
  }

  #now(): string {
    return new Date(this.#deps.clock.now()).toISOString()
  }
}

/** The quotas of all sites of a node fit into that of the node; a smaller one than before always does. */
export async function checkRoom(
  tx: Tables,
  node: NodeRecord,
  site: Pick<SiteRecord, 'name' | 'quotaBytes'>,
  askedBytes: number,
): Promise<void> {
  if (askedBytes <= site.quotaBytes) return
  const others = ((await tx.sites.totals()).get(node.id)?.quotaBytes ?? 0) - site.quotaBytes
  const leftBytes = Math.max(0, node.storageQuotaGb * bytesPerGb - others)
  if (askedBytes <= leftBytes) return
  throw problem('site_over_quota', {asked: inGb(askedBytes), left: inGb(leftBytes), node: node.name || node.hostname})
}

export function claimNames(mounts: readonly {claim: string}[]): string {
  const names = mounts.slice(0, 3).map(({claim}) => claim)
  return [...names, ...(mounts.length > 3 ? [`${mounts.length - 3} more`] : [])].join(', ')
}
