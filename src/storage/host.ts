import type {
  FoundPool,
  FoundShare,
  FoundVolume,
  PlannedMethod,
  PoolType,
  StorageInput,
  StorageMethod,
  StorageOutput,
} from '../contract/storage-protocol.ts'
import {listDevices, usableDevice} from './devices.ts'
import {type StorageCommand, type StorageDriver, StorageError} from './driver.ts'
import type {NfsMounts} from './nfs-mount.ts'
import {listShares, sharePlan, unsharePlan, zfsSharePlan, zfsUnsharePlan} from './nfs-share.ts'
import {type StorageRunner, shown} from './run.ts'

interface StorageHostParts {
  drivers: readonly StorageDriver[]
  mounts: NfsMounts
  runner: StorageRunner
}

type Methods = {[M in StorageMethod]: (input: StorageInput<M>, signal?: AbortSignal) => Promise<StorageOutput<M>>}

/** The storage of one host: every method of the protocol over the drivers that work here. */
export class StorageHost {
  readonly #parts: StorageHostParts
  readonly #methods: Methods

  constructor(parts: StorageHostParts) {
    this.#parts = parts
    this.#methods = this.#table()
  }

  has(method: string): method is StorageMethod {
    return Object.hasOwn(this.#methods, method)
  }

  /** Throws StorageError. */
  call<M extends StorageMethod>(method: M, input: StorageInput<M>, signal?: AbortSignal): Promise<StorageOutput<M>> {
    return this.#methods[method](input, signal)
  }

  #table(): Methods {
    const {mounts, runner} = this.#parts
    return {
      'devices.list': () => listDevices(runner),
      'pools.list': () => this.#pools(),
      'pool.create': async (input, signal) => {
        const driver = this.#driver(input.type)
        const known = (await driver.pools()).find(({pool}) => pool === input.pool)
        if (known) return this.#ours(known, input.mark, `pool ${input.pool}`)
        if (input.device) await usableDevice(input.device, input.force, runner)
        await this.#run(driver.plans.createPool(input), signal)
        return this.#pool(input.type, input.pool)
      },
      'pool.destroy': async ({pool, type, wipe}, signal) => {
        const found = (await this.#driver(type).pools()).find(one => one.pool === pool)
        if (!found) return null
        if (found.share) await this.#run(this.#unshare(found, found.share), signal)
        await this.#run(this.#driver(type).plans.destroyPool({pool, devices: found.devices, wipe}), signal)
        return null
      },
      'pool.share': async ({pool, type, share}, signal) => {
        const found = await this.#pool(type, pool)
        if (found.path === '') throw new StorageError('failed', `Pool ${pool} is not mounted.`)
        await this.#run(type === 'zfs' ? zfsSharePlan(pool, share) : sharePlan(found.path, share), signal)
        const {share: now} = await this.#pool(type, pool)
        if (!now) throw new StorageError('failed', `${found.path} was exported, and is not in the table of exports.`)
        return now
      },
      'pool.unshare': async ({pool, type}, signal) => {
        const found = await this.#pool(type, pool)
        if (found.share) await this.#run(this.#unshare(found, found.share), signal)
        return null
      },
      'mounts.list': () => mounts.list(),
      'mount.create': (input, signal) => mounts.create(input, signal),
      'mount.remove': async ({name}) => {
        await mounts.remove(name)
        return null
      },
      'volumes.list': ({pool, type}) => this.#driver(type).volumes(pool),
      'volume.create': async (input, signal) => {
        const driver = this.#driver(input.type)
        const known = (await driver.volumes(input.pool)).find(({volume}) => volume === input.volume)
        if (known) return this.#ours(known, input.mark, `volume ${input.pool}/${input.volume}`)
        await this.#run(driver.plans.createVolume(input), signal)
        return this.#volume(input)
      },
      'volume.quota': async (input, signal) => {
        const driver = this.#driver(input.type)
        if (!driver.facts.quota) throw new StorageError('unsupported', `A ${input.type} pool enforces no quota.`)
        await this.#run(driver.plans.setQuota(input), signal)
        return this.#volume(input)
      },
      'volume.delete': async (input, signal) => {
        await this.#run(this.#driver(input.type).plans.deleteVolume(input), signal)
        return null
      },
      'snapshots.list': input => this.#driver(input.type).snapshots(input),
      'snapshot.create': async (input, signal) => {
        const driver = this.#driver(input.type)
        await this.#run(driver.plans.createSnapshot(input), signal)
        const made = (await driver.snapshots(input)).find(({snapshot}) => snapshot === input.snapshot)
        if (!made) throw new StorageError('failed', `Snapshot ${input.snapshot} was made, and is not there.`)
        return made
      },
      'snapshot.delete': async (input, signal) => {
        await this.#run(this.#driver(input.type).plans.deleteSnapshot(input), signal)
        return null
      },
      'snapshot.rollback': async (input, signal) => {
        await this.#run(this.#driver(input.type).plans.rollback(input), signal)
        return null
      },
      'snapshot.clone': async (input, signal) => {
        const driver = this.#driver(input.type)
        const known = (await driver.volumes(input.pool)).find(({volume}) => volume === input.to)
        if (known) return this.#ours(known, input.mark, `volume ${input.pool}/${input.to}`)
        await this.#run(driver.plans.clone(input), signal)
        return this.#volume({...input, volume: input.to})
      },
      plan: async ({method, input}) => (await this.#plan(method, input as never)).map(shown),
    }
  }

  async #plan(method: PlannedMethod, input: never): Promise<StorageCommand[]> {
    const {type, pool} = input as {type: PoolType; pool: string}
    const {mounts} = this.#parts
    const plans = () => this.#driver(type).plans
    const found = () => this.#pool(type, pool)
    const planned: Record<PlannedMethod, () => StorageCommand[] | Promise<StorageCommand[]>> = {
      'pool.create': async () => {
        const {device, force} = input as StorageInput<'pool.create'>
        if (device) await usableDevice(device, force, this.#parts.runner)
        return plans().createPool(input)
      },
      'pool.destroy': async () =>
        plans().destroyPool({...(input as object), devices: (await found()).devices} as never),
      'pool.share': async () => {
        const {share} = input as StorageInput<'pool.share'>
        return type === 'zfs' ? zfsSharePlan(pool, share) : sharePlan((await found()).path, share)
      },
      'pool.unshare': async () => {
        const pool = await found()
        return pool.share ? this.#unshare(pool, pool.share) : []
      },
      'mount.create': () => mounts.plan(input),
      'mount.remove': () => mounts.removalPlan((input as {name: string}).name),
      'volume.create': () => plans().createVolume(input),
      'volume.quota': () => plans().setQuota(input),
      'volume.delete': () => plans().deleteVolume(input),
      'snapshot.create': () => plans().createSnapshot(input),
      'snapshot.delete': () => plans().deleteSnapshot(input),
      'snapshot.rollback': () => plans().rollback(input),
      'snapshot.clone': () => plans().clone(input),
    }
    return planned[method]()
  }

  /** All drivers that work here; the shares of those that have none of their own come from the table of exports. */
  async #pools(): Promise<FoundPool[]> {
    const working: StorageDriver[] = []
    for (const driver of this.#parts.drivers) if ((await driver.unavailable()) === undefined) working.push(driver)
    const shares = await listShares(this.#parts.runner)
    const found = await Promise.all(working.map(driver => driver.pools()))
    return found.flat().map(pool => withShare(pool, shares))
  }

  async #pool(type: PoolType, name: string): Promise<FoundPool> {
    const found = (await this.#driver(type).pools()).find(({pool}) => pool === name)
    if (!found) throw new StorageError('not_found', `There is no ${type} pool ${name} on this node.`)
    return withShare(found, found.share ? [] : await listShares(this.#parts.runner))
  }

  async #volume({type, pool, volume: name}: {type: PoolType; pool: string; volume: string}): Promise<FoundVolume> {
    const found = (await this.#driver(type).volumes(pool)).find(({volume}) => volume === name)
    if (!found) throw new StorageError('not_found', `There is no volume ${pool}/${name} on this node.`)
    return found
  }

  /** What is there already is fine when this very task made it (reliability M24). */
  #ours<T extends {mark: string}>(found: T, mark: string, what: string): T {
    if (found.mark === mark) return found
    throw new StorageError('exists', `There is already a ${what}, made by somebody else.`)
  }

  #unshare(pool: FoundPool, share: FoundShare): StorageCommand[] {
    return pool.type === 'zfs' ? zfsUnsharePlan(pool.pool) : unsharePlan(pool.path, share)
  }

  #driver(type: PoolType): StorageDriver {
    const found = this.#parts.drivers.find(driver => driver.type === type)
    if (!found) throw new StorageError('unavailable', `This node has no storage of the kind ${String(type)}.`)
    return found
  }

  async #run(commands: readonly StorageCommand[], signal?: AbortSignal): Promise<void> {
    for (const command of commands) await this.#parts.runner.run(command, signal)
  }
}

function withShare(pool: FoundPool, shares: readonly FoundShare[]): FoundPool {
  return {...pool, share: pool.share ?? shares.find(({exportPath}) => exportPath === pool.path) ?? null}
}
