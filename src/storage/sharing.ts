import type {FoundPool, FoundShare, PoolName, PoolType, Share} from '../contract/storage-protocol.ts'
import {type Run, type StorageCommand, StorageError} from './driver.ts'
import type {FoundStorage} from './found.ts'
import type {NfsProbe} from './nfs-probe.ts'
import {type NfsShares, unsharePlan, zfsSharePlan, zfsUnsharePlan} from './nfs-share.ts'
import {orTakenBack} from './taking-back.ts'

interface SharingParts {
  found: FoundStorage
  shares: NfsShares
  probe: NfsProbe
}

interface Wish {
  pool: string
  type: PoolType
  share: Share
}

type Shared = Pick<FoundPool, 'pool' | 'type' | 'path' | 'share'>

/** Gives pools to other nodes: exported, and seen by a client, or as it was before. */
export class Sharing {
  readonly #parts: SharingParts

  constructor(parts: SharingParts) {
    this.#parts = parts
  }

  async share({pool, type, share}: Wish, run: Run): Promise<FoundShare> {
    const {found, probe} = this.#parts
    const before = await found.pool(type, pool)
    if (before.path === '') throw new StorageError('failed', `Pool ${pool} is not mounted.`)
    const work = async () => {
      await this.#export(before, share, run)
      const {share: now} = await found.pool(type, pool)
      if (!now) throw new StorageError('failed', `${before.path} was exported, and is not in the table of exports.`)
      await probe.see(now)
      return now
    }
    const again = before.share ? `to ${before.share.network} again` : 'once more'
    const fix = `Look at it with exportfs -v, then share pool ${pool} ${again} or end its export.`
    const left = `${before.path} may still be exported to ${share.network}. ${fix}`
    return orTakenBack(work, {undo: () => this.#takeBack(before, share, run), left})
  }

  /** Does what ends the pool. Fails it, and the pool is there still, then it is exported as before. */
  async without(shared: Shared, run: Run, work: () => Promise<void>): Promise<void> {
    const {pool, type, path, share} = shared
    await this.unshare(shared, run)
    if (!share) return work()
    const undo = async () => {
      const now = await this.#parts.found.findPool(type, pool)
      if (now) await this.#export({...shared, share: null}, share, run)
    }
    const left = `${path} is not exported to ${share.network} any more. Share pool ${pool} again.`
    return orTakenBack(work, {undo, left})
  }

  async unshare({pool, type, path, share}: Shared, run: Run): Promise<void> {
    if (!share) return
    if (type === 'zfs') await run(zfsUnsharePlan(pool))
    else await this.#parts.shares.unshare(path, share, run)
  }

  /** Before a volume is unmounted: NFS servers keep a hold on each file system that a client has looked at. */
  async letGo({pool, type}: PoolName, run: Run): Promise<void> {
    const known = await this.#parts.found.findPool(type, pool)
    // What is really in use is told by the unmounting.
    if (known?.share) await run([{file: 'exportfs', args: ['-f'], fine: /./}])
  }

  async plan({pool, type, share}: Wish): Promise<StorageCommand[]> {
    if (type === 'zfs') return zfsSharePlan(pool, share)
    const {path, share: now} = await this.#parts.found.pool(type, pool)
    return this.#parts.shares.plan(path, share, now)
  }

  async unsharePlan({pool, type}: Omit<Wish, 'share'>): Promise<StorageCommand[]> {
    const {path, share} = await this.#parts.found.pool(type, pool)
    if (!share) return []
    return type === 'zfs' ? zfsUnsharePlan(pool) : unsharePlan(path, share)
  }

  async #export({pool, type, path, share: now}: Shared, share: Share, run: Run): Promise<void> {
    if (type === 'zfs') await run(zfsSharePlan(pool, share))
    else await this.#parts.shares.share(path, share, now, run)
  }

  async #takeBack(before: Shared, share: Share, run: Run): Promise<void> {
    const now = {...before, share: {...share, exportPath: before.path}}
    if (before.share) await this.#export(now, before.share, run)
    else await this.unshare(now, run)
  }
}
