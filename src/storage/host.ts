import {realpath} from 'node:fs/promises'
import type {
  FoundPool,
  FoundShare,
  FoundVolume,
  PlannedMethod,
  PoolName,
  PoolType,
  StorageInput,
  StorageMethod,
  StorageOutput,
} from '../contract/storage-protocol.ts'
import {BackupHost} from './backup/backup-host.ts'
import {clusterMethods, type TemplateImages} from './cluster.ts'
import type {JoinSettings} from './cluster-join.ts'
import {listDevices, usableDevice} from './devices.ts'
import {type Run, type StorageCommand, type StorageDriver, StorageError} from './driver.ts'
import {devicePath, poolName, volumeName} from './grammar.ts'
import type {StorageLocks} from './locks.ts'
import type {NfsMounts} from './nfs-mount.ts'
import {type NfsShares, unsharePlan, zfsSharePlan, zfsUnsharePlan} from './nfs-share.ts'
import type {OsImages} from './os-images.ts'
import {type Proxmox, proxmoxPlans} from './proxmox.ts'
import {type StorageRunner, shown} from './run.ts'
import {VmBackups} from './vm-backups.ts'

interface StorageHostParts {
  drivers: readonly StorageDriver[]
  mounts: NfsMounts
  shares: NfsShares
  runner: StorageRunner
  locks: StorageLocks
  proxmox: Proxmox
  osImages: OsImages
  templateImages?: TemplateImages | undefined
  joinSettings?: JoinSettings | undefined
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

  get osImages(): OsImages {
    return this.#parts.osImages
  }

  has(method: string): method is StorageMethod {
    return Object.hasOwn(this.#methods, method)
  }

  /** Throws StorageError. */
  call<M extends StorageMethod>(method: M, input: StorageInput<M>, signal?: AbortSignal): Promise<StorageOutput<M>> {
    return this.#methods[method](input, signal)
  }

  /** Brings the pools, exports and mounts of ours to their places after a restart. Resolves to what did not work, in words. */
  async restore(): Promise<string[]> {
    const failures: string[] = []
    for (const driver of await this.#working()) {
      for (const pool of (await driver.closedPools?.()) ?? []) {
        try {
          const restore = async (lock: string) => this.#run((await driver.restorePlan?.(pool)) ?? [], {lock})
          await this.#parts.locks.hold(`pool-${poolName(pool)}`, restore)
        } catch (error) {
          failures.push(`${driver.type} ${pool}: ${(error as Error).message}`)
        }
      }
    }
    const {shares, mounts} = this.#parts
    for (const command of [...(await shares.restorePlan()), ...(await mounts.restorePlan())]) {
      await this.#run([command]).catch((error: Error) => failures.push(error.message))
    }
    return failures
  }

  #table(): Methods {
    const {mounts, shares, runner} = this.#parts
    const ofPool = this.#changer<{pool: string}>(({pool}) => `pool-${poolName(pool)}`)
    const ofMount = this.#changer<{name: string}>(({name}) => `mount-${volumeName(name)}`)
    const backups = new BackupHost({
      ...{runner, driver: type => this.#driver(type)},
      call: (method, input, signal) => this.call(method, input, signal),
    })
    return {
      ...clusterMethods(this.#parts),
      ...backups.methods(),
      ...new VmBackups(this.#parts).methods(),
      'devices.list': () => listDevices(runner),
      'pools.list': () => this.#pools(),
      'pool.create': ofPool(async (input: StorageInput<'pool.create'>, run) => {
        const {plans, pools} = this.#bound(input.type)
        const known = (await pools()).find(({pool}) => pool === input.pool)
        if (known) return this.#opened(this.#ours(known, input.mark, `pool ${input.pool}`), run)
        if (input.device) await this.#checkDevice(input.device, input.force)
        await run(plans.createPool(input))
        return this.#opened(await this.#pool(input.type, input.pool), run)
      }),
      'pool.destroy': ofPool(async ({pool, type, wipe, mark, device}: StorageInput<'pool.destroy'>, run) => {
        const {plans, pools} = this.#bound(type)
        const found = (await pools()).find(one => one.pool === pool)
        if (!found && wipe && device) await this.#wipeRemnant({pool, type}, device, run)
        if (!found || (mark !== undefined && found.mark !== mark)) return null
        const {devices, ...rest} = withShare(found, await shares.list())
        await this.#unshare(rest, run)
        await run(plans.destroyPool({pool, devices, wipe}))
        return null
      }),
      'pool.share': ofPool(async ({pool, type, share}: StorageInput<'pool.share'>, run) => {
        const found = await this.#pool(type, pool)
        if (found.path === '') throw new StorageError('failed', `Pool ${pool} is not mounted.`)
        if (type === 'zfs') await run(zfsSharePlan(pool, share))
        else await shares.share(found.path, share, found.share, run)
        const {share: now} = await this.#pool(type, pool)
        if (!now) throw new StorageError('failed', `${found.path} was exported, and is not in the table of exports.`)
        return now
      }),
      'pool.unshare': ofPool(async ({pool, type}: StorageInput<'pool.unshare'>, run) => {
        await this.#unshare(await this.#pool(type, pool), run)
        return null
      }),
      'mounts.list': () => mounts.list(),
      'mount.create': ofMount((input: StorageInput<'mount.create'>, run) => mounts.create(input, run)),
      'mount.remove': ofMount(async ({name, source}: StorageInput<'mount.remove'>, run) => {
        await mounts.remove(name, run, source)
        return null
      }),
      'volumes.list': ({pool, type}) => this.#driver(type).volumes(pool),
      'volume.create': ofPool(async (input: StorageInput<'volume.create'>, run) => {
        const {plans, volumes} = this.#bound(input.type)
        const known = (await volumes(input.pool)).find(({volume}) => volume === input.volume)
        if (known) return this.#openedVolume(this.#ours(known, input.mark, `volume ${input.pool}/${input.volume}`), run)
        await run(plans.createVolume(input))
        return this.#openedVolume(await this.#volume(input), run)
      }),
      'volume.quota': ofPool(async (input: StorageInput<'volume.quota'>, run) => {
        const {plans, facts} = this.#driver(input.type)
        if (!facts.quota) throw new StorageError('unsupported', `A ${input.type} pool enforces no quota.`)
        await run(plans.setQuota(input))
        return this.#volume(input)
      }),
      'volume.delete': ofPool(async (input: StorageInput<'volume.delete'>, run) => {
        await run(this.#driver(input.type).plans.deleteVolume(input))
        return null
      }),
      'snapshots.list': input => this.#driver(input.type).snapshots(input),
      'snapshot.create': ofPool(async (input: StorageInput<'snapshot.create'>, run) => {
        const {plans, facts, snapshots} = this.#bound(input.type)
        const look = async () => (await snapshots(input)).find(({snapshot}) => snapshot === input.snapshot)
        const known = facts.snapshots ? await look() : undefined
        if (known) return known
        await run(plans.createSnapshot(input))
        const made = await look()
        if (!made) throw new StorageError('failed', `Snapshot ${input.snapshot} was made, and is not there.`)
        return made
      }),
      'snapshot.delete': ofPool(async (input: StorageInput<'snapshot.delete'>, run) => {
        await run(this.#driver(input.type).plans.deleteSnapshot(input))
        return null
      }),
      'snapshot.rollback': ofPool(async (input: StorageInput<'snapshot.rollback'>, run) => {
        const {quotaBytes} = await this.#volume(input)
        await run(this.#driver(input.type).plans.rollback({...input, quotaBytes}))
        return null
      }),
      'snapshot.clone': ofPool(async (input: StorageInput<'snapshot.clone'>, run) => {
        const {plans, volumes} = this.#bound(input.type)
        const known = (await volumes(input.pool)).find(({volume}) => volume === input.to)
        if (known) return this.#openedVolume(this.#ours(known, input.mark, `volume ${input.pool}/${input.to}`), run)
        await run(plans.clone(input))
        return this.#openedVolume(await this.#volume({...input, volume: input.to}), run)
      }),
      plan: async ({method, input}) => (await this.#plan(method, input as never)).map(shown),
    }
  }

  /** Changes of one thing come one after the other, also after the ones of an agent that was killed. */
  #changer<K>(keyOf: (input: K) => string) {
    return <I extends K, O>(work: (input: I, run: Run) => Promise<O>) =>
      async (input: I, signal?: AbortSignal): Promise<O> => {
        const key = keyOf(input)
        return this.#parts.locks.hold(key, lock => work(input, commands => this.#run(commands, {signal, lock})))
      }
  }

  #bound(type: PoolType) {
    const driver = this.#driver(type)
    return {
      ...{plans: driver.plans, facts: driver.facts},
      pools: () => driver.pools(),
      volumes: (pool: string) => driver.volumes(pool),
      snapshots: (name: StorageInput<'snapshots.list'>) => driver.snapshots(name),
    }
  }

  /** Not even force takes what a pool stands on: ZFS holds its devices without a sign that others see. */
  async #checkDevice(path: string, force: boolean): Promise<void> {
    const device = await usableDevice(path, force, this.#parts.runner)
    const standing = (await this.#pools()).filter(({state}) => state === 'online' || state === 'degraded')
    const holder = standing.find(({devices}) => devices.includes(device.path))
    if (holder) throw new StorageError('in_use', `${path} is in use: it is part of ${holder.type} pool ${holder.pool}.`)
  }

  /** A destroying that was cut off may have left the label of the pool, and of nothing else. */
  async #wipeRemnant({pool, type}: PoolName, path: string, run: Run): Promise<void> {
    const remnant = this.#driver(type).plans.remnant?.(poolName(pool))
    const real = await realpath(devicePath(path)).catch(() => '')
    const device = (await listDevices(this.#parts.runner)).find(one => one.path === real)
    if (!device || device.busy || remnant === undefined || device.carries.join() !== remnant) return
    await run([{file: 'wipefs', args: ['-a', device.path]}])
  }

  /** One whose making was cut off may be there, and not yet in its place. */
  async #opened(found: FoundPool, run: Run): Promise<FoundPool> {
    if (found.path !== '') return found
    const {pool, type, devices} = found
    await run(this.#driver(type).plans.openPool?.({pool, devices}) ?? [])
    return this.#pool(type, pool)
  }

  async #openedVolume(found: FoundVolume, run: Run): Promise<FoundVolume> {
    if (found.path !== '') return found
    await run(this.#driver(found.type).plans.openVolume?.(found) ?? [])
    return this.#volume(found)
  }

  async #plan(method: PlannedMethod, input: never): Promise<StorageCommand[]> {
    const {type, pool} = input as {type: PoolType; pool: string}
    const {mounts, shares, proxmox} = this.#parts
    const plans = () => this.#driver(type).plans
    const found = () => this.#pool(type, pool)
    const planned: Record<PlannedMethod, () => StorageCommand[] | Promise<StorageCommand[]>> = {
      'pool.create': async () => {
        const {device, force} = input as StorageInput<'pool.create'>
        if (device) await this.#checkDevice(device, force)
        return plans().createPool(input)
      },
      'pool.destroy': async () =>
        plans().destroyPool({...(input as object), devices: (await found()).devices} as never),
      'pool.share': async () => {
        const {share} = input as StorageInput<'pool.share'>
        if (type === 'zfs') return zfsSharePlan(pool, share)
        const {path, share: now} = await found()
        return shares.plan(path, share, now)
      },
      'pool.unshare': async () => {
        const {path, share} = await found()
        if (!share) return []
        return type === 'zfs' ? zfsUnsharePlan(pool) : unsharePlan(path, share)
      },
      'storage.register': async () => ((await proxmox.isPresent()) ? proxmoxPlans.register(input) : []),
      'mount.create': () => mounts.plan(input),
      'mount.remove': () => mounts.removalPlan((input as {name: string}).name),
      'volume.create': () => plans().createVolume(input),
      'volume.quota': () => plans().setQuota(input),
      'volume.delete': () => plans().deleteVolume(input),
      'snapshot.create': () => plans().createSnapshot(input),
      'snapshot.delete': () => plans().deleteSnapshot(input),
      'snapshot.rollback': async () => {
        const {quotaBytes} = await this.#volume(input)
        return plans().rollback({...(input as StorageInput<'snapshot.rollback'>), quotaBytes})
      },
      'snapshot.clone': () => plans().clone(input),
    }
    return planned[method]()
  }

  /** All drivers that work here; the shares of those that have none of their own come from the table of exports. */
  async #pools(): Promise<FoundPool[]> {
    const working = await this.#working()
    const shares = await this.#parts.shares.list()
    const found = await Promise.all(working.map(driver => driver.pools()))
    return found.flat().map(pool => withShare(pool, shares))
  }

  async #working(): Promise<StorageDriver[]> {
    const {drivers} = this.#parts
    const reasons = await Promise.all(drivers.map(driver => driver.unavailable()))
    return drivers.filter((_, index) => reasons[index] === undefined)
  }

  async #pool(type: PoolType, name: string): Promise<FoundPool> {
    const found = (await this.#driver(type).pools()).find(({pool}) => pool === name)
    if (!found) throw new StorageError('not_found', `There is no ${type} pool ${name} on this node.`)
    return withShare(found, found.share ? [] : await this.#parts.shares.list())
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

  async #unshare({pool, type, path, share}: Omit<FoundPool, 'devices'>, run: Run): Promise<void> {
    if (!share) return
    if (type === 'zfs') await run(zfsUnsharePlan(pool))
    else await this.#parts.shares.unshare(path, share, run)
  }

  #driver(type: PoolType): StorageDriver {
    const found = this.#parts.drivers.find(driver => driver.type === type)
    if (!found) throw new StorageError('unavailable', `This node has no storage of the kind ${String(type)}.`)
    return found
  }

  async #run(commands: readonly StorageCommand[], options: {signal?: AbortSignal; lock?: string} = {}): Promise<void> {
    for (const command of commands) await this.#parts.runner.run(command, options)
  }
}

function withShare(pool: FoundPool, shares: readonly FoundShare[]): FoundPool {
  return {...pool, share: pool.share ?? shares.find(({exportPath}) => exportPath === pool.path) ?? null}
}
