import type {FoundVolume, PoolName, VolumeName} from '../contract/storage-protocol.ts'
import {isProblem} from '../domain/errors.ts'
import type {SiteRecord} from '../domain/records.ts'
import {expired, nextRun, scheduledName} from '../domain/site-schedule.ts'
import {isPassing} from '../domain/task.ts'
import {WorkQueue} from '../platform/work-queue.ts'
import type {ControllerDependencies} from './dependencies.ts'

/** Nodes that are asked at once, and how often: a volume of small files is counted in seconds. */
const concurrency = 4
const everyMs = 60_000
/** Snapshots that are begun in one minute. */
const mostDue = 5_000
const retry = {baseMs: 5_000, maxMs: 60_000}

/**
 * Sees each minute what the sites use, and brings their quotas to where they should be: a node that was away when a
 * quota was set hears of it here. Makes the snapshots that schedules want; of those that were missed, one. Key: node id, or
 * `due:` and the id of a site.
 */
export class SiteController {
  readonly #deps: ControllerDependencies
  readonly #queue: WorkQueue<string>
  #lookedAtMs = 0

  constructor(deps: ControllerDependencies) {
    this.#deps = deps
    this.#queue = new WorkQueue<string>({
      reconcile: key => (key.startsWith('due:') ? this.#makeDue(key.slice('due:'.length)) : this.#look(key)),
      ...{concurrency, retry, clock: deps.clock},
      onError: (key, error) => deps.onError('site', key, error),
    })
  }

  /** Call it often: it works once a minute. */
  async tick(): Promise<void> {
    const {clock, store, fleet} = this.#deps
    if (clock.now() - this.#lookedAtMs < everyMs) return
    this.#lookedAtMs = clock.now()
    for (const nodeId of new Set((await store.pools.list()).map(pool => pool.nodeId))) {
      if (fleet.connected(nodeId)) this.#queue.add(nodeId)
    }
    for (const site of await store.sites.due(new Date(clock.now()).toISOString(), mostDue)) {
      if (fleet.connected(site.nodeId)) this.#queue.add(`due:${site.id}`)
    }
  }

  idle(): Promise<void> {
    return this.#queue.idle()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  async #look(nodeId: string): Promise<undefined> {
    const {store, fleet} = this.#deps
    if (!fleet.connected(nodeId)) return
    const sites = (await store.sites.list({nodeIds: [nodeId]})).filter(({status}) => status === 'active')
    for (const pool of await store.pools.list({nodeId})) {
      const own = sites.filter(({poolId}) => poolId === pool.id)
      if (own.length === 0) continue
      const name: PoolName = {pool: pool.name, type: pool.type}
      const found = new Map((await fleet.agent(nodeId).storage('volumes.list', name)).map(one => [one.volume, one]))
      for (const site of own) await this.#bring(site, name, found.get(site.name))
    }
    return
  }

  async #bring(site: SiteRecord, pool: PoolName, found: FoundVolume | undefined): Promise<void> {
    if (!found) return
    let {quotaBytes: enforcedBytes} = found
    if (site.enforcedBytes !== null && enforcedBytes !== site.quotaBytes) {
      const input = {...pool, volume: site.name, quotaBytes: site.quotaBytes}
      try {
        enforcedBytes = (await this.#deps.fleet.agent(site.nodeId).storage('volume.quota', input)).quotaBytes
      } catch (error) {
        // As that of a site which holds more than it may: it stays pending, and the other sites get their turn.
        if (!isProblem(error) || isPassing(error)) throw error
      }
    }
    if (found.usedBytes === site.usedBytes && enforcedBytes === site.enforcedBytes) return
    await this.#deps.store.transaction(async tx => {
      const now = await tx.sites.find(site.id)
      if (now?.status === 'active') await tx.sites.save({...now, usedBytes: found.usedBytes, enforcedBytes})
    })
  }
  async #makeDue(id: string): Promise<undefined> {
    const {store, journal, clock} = this.#deps
    const site = await store.sites.find(id)
    const pool = await store.pools.find(site?.poolId ?? '')
    if (!site || !pool || site.status !== 'active') return
    const {nextRunAt, nodeId, name} = site
    if (nextRunAt === null || Date.parse(nextRunAt) > clock.now()) return
    const volume = {pool: pool.name, type: pool.type, volume: name}
    const snapshot = scheduledName(nextRunAt)
    await this.#deps.fleet.agent(nodeId).storage('snapshot.create', {...volume, snapshot})
    const gone = await this.#forgetExpired(site, volume)
    await journal.change(async (tx, record) => {
      const now = await tx.sites.find(id)
      if (now?.nextRunAt !== nextRunAt) return
      const next = nextRun(now, clock.now())
      await tx.sites.save({...now, nextRunAt: next === null ? null : new Date(next).toISOString()})
      const node = await tx.nodes.find(nodeId)
      const words = `Snapshot ${snapshot} of ${name} was made; ${gone} older ones went.`
      await record.event('node', {id: nodeId, name: node?.name ?? nodeId}, 'SiteSnapshot', words)
    })
    return
  }

  /** What a clone holds fast stays until the clone is gone. */
  async #forgetExpired(site: SiteRecord, volume: VolumeName): Promise<number> {
    const agent = this.#deps.fleet.agent(site.nodeId)
    const names = (await agent.storage('snapshots.list', volume)).map(({snapshot}) => snapshot)
    const {retentionCopies, expireDays = null} = site
    let gone = 0
    for (const snapshot of expired(names, {retentionCopies, expireDays}, this.#deps.clock.now())) {
      try {
        await agent.storage('snapshot.delete', {...volume, snapshot})
        gone++
      } catch (error) {
        if (!isProblem(error, 'storage_needed') && !isProblem(error, 'storage_in_use')) throw error
      }
    }
    return gone
  }
}
