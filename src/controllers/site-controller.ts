import type {FoundVolume, PoolName} from '../contract/storage-protocol.ts'
import type {SiteRecord} from '../domain/records.ts'
import {WorkQueue} from '../platform/work-queue.ts'
import type {ControllerDependencies} from './dependencies.ts'

/** Nodes that are asked at once, and how often: a volume of small files is counted in seconds. */
const concurrency = 4
const everyMs = 60_000
const retry = {baseMs: 5_000, maxMs: 60_000}

/**
 * Sees each minute what the sites use, and brings their quotas to where they should be: a node that was away when a
 * quota was set hears of it here. Key: node id.
 */
export class SiteController {
  readonly #deps: ControllerDependencies
  readonly #queue: WorkQueue<string>
  #lookedAtMs = 0

  constructor(deps: ControllerDependencies) {
    this.#deps = deps
    this.#queue = new WorkQueue<string>({
      reconcile: nodeId => this.#reconcile(nodeId),
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
  }

  idle(): Promise<void> {
    return this.#queue.idle()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  async #reconcile(nodeId: string): Promise<undefined> {
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
      enforcedBytes = (await this.#deps.fleet.agent(site.nodeId).storage('volume.quota', input)).quotaBytes
    }
    if (found.usedBytes === site.usedBytes && enforcedBytes === site.enforcedBytes) return
    await this.#deps.store.transaction(async tx => {
      const now = await tx.sites.find(site.id)
      if (now?.status === 'active') await tx.sites.save({...now, usedBytes: found.usedBytes, enforcedBytes})
    })
  }
}
