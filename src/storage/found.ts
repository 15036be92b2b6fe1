import {realpath} from 'node:fs/promises'
import type {
  BlockDevice,
  FoundPool,
  FoundShare,
  FoundVolume,
  PoolName,
  PoolType,
  VolumeName,
} from '../contract/storage-protocol.ts'
import {listDevices, usableDevice} from './devices.ts'
import {type Run, StorageError} from './driver.ts'
import type {StorageDrivers} from './drivers.ts'
import {devicePath, poolName} from './grammar.ts'
import type {NfsShares} from './nfs-share.ts'
import type {StorageRunner} from './run.ts'

interface FoundStorageParts {
  drivers: StorageDrivers
  shares: NfsShares
  runner: StorageRunner
}

/** What there is on a host of pools, volumes and devices, and what was left half done brought to its place. */
export class FoundStorage {
  readonly #parts: FoundStorageParts

  constructor(parts: FoundStorageParts) {
    this.#parts = parts
  }

  /** The shares of drivers that have none of their own come from the table of exports. */
  async pools(): Promise<FoundPool[]> {
    const found = await this.#parts.drivers.pools()
    return this.#withShares(found)
  }

  /** Throws not_found. */
  async pool(type: PoolType, name: string): Promise<FoundPool> {
    const found = await this.findPool(type, name)
    if (!found) throw new StorageError('not_found', `There is no ${type} pool ${name} on this node.`)
    return found
  }

  async findPool(type: PoolType, name: string): Promise<FoundPool | undefined> {
    const found = (await this.#parts.drivers.of(type).pools()).find(({pool}) => pool === name)
    return found && (await this.#withShares([found]))[0]
  }

  /** Throws not_found. */
  async volume({type, pool, volume: name}: VolumeName): Promise<FoundVolume> {
    const found = (await this.#parts.drivers.of(type).volumes(pool)).find(({volume}) => volume === name)
    if (!found) throw new StorageError('not_found', `There is no volume ${pool}/${name} on this node.`)
    return found
  }

  /** Not even force takes what a pool stands on: ZFS holds its devices without a sign that others see. */
  async checkDevice(path: string, force: boolean): Promise<void> {
    const device = await usableDevice(path, force, this.#parts.runner)
    const standing = (await this.pools()).filter(({state}) => state === 'online' || state === 'degraded')
    const holder = standing.find(({devices}) => devices.includes(device.path))
    if (holder) throw new StorageError('in_use', `${path} is in use: it is part of ${holder.type} pool ${holder.pool}.`)
  }

  devices(): Promise<BlockDevice[]> {
    return listDevices(this.#parts.runner)
  }

  /** A destroying that was cut off may have left the label of the pool, and of nothing else. */
  async wipeRemnant({pool, type}: PoolName, path: string, run: Run): Promise<void> {
    const remnant = this.#parts.drivers.of(type).plans.remnant?.(poolName(pool))
    const real = await realpath(devicePath(path)).catch(() => '')
    const device = (await this.devices()).find(one => one.path === real)
    if (!device || device.busy || remnant === undefined || device.carries.join() !== remnant) return
    await run([{file: 'wipefs', args: ['-a', device.path]}])
  }

  /** One whose making was cut off may be there, and not yet in its place. */
  async opened(found: FoundPool, run: Run): Promise<FoundPool> {
    if (found.path !== '') return found
    const {pool, type, devices} = found
    await run(this.#parts.drivers.of(type).plans.openPool?.({pool, devices}) ?? [])
    return this.pool(type, pool)
  }

  async openedVolume(found: FoundVolume, run: Run): Promise<FoundVolume> {
    if (found.path !== '') return found
    await run(this.#parts.drivers.of(found.type).plans.openVolume?.(found) ?? [])
    return this.volume(found)
  }

  async #withShares(pools: readonly FoundPool[]): Promise<FoundPool[]> {
    const shares = pools.some(({share, path}) => !share && path !== '') ? await this.#parts.shares.list() : []
    return pools.map(pool => ({...pool, share: pool.share ?? shareAt(pool.path, shares)}))
  }
}

function shareAt(path: string, shares: readonly FoundShare[]): FoundShare | null {
  return shares.find(({exportPath}) => exportPath === path) ?? null
}
