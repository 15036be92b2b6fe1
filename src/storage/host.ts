import type {PoolName, StorageInput, StorageMethod, StorageOutput} from '../contract/storage-protocol.ts'
import {BackupHost} from './backup/backup-host.ts'
import {clusterMethods, type TemplateImages} from './cluster.ts'
import type {JoinSettings} from './cluster-join.ts'
import {type Run, type StorageCommand, StorageError} from './driver.ts'
import type {StorageDrivers} from './drivers.ts'
import type {FoundStorage} from './found.ts'
import {poolName, volumeName} from './grammar.ts'
import type {StorageLocks} from './locks.ts'
import type {NfsMounts} from './nfs-mount.ts'
import type {NfsShares} from './nfs-share.ts'
import type {OsImages} from './os-images.ts'
import {planChange} from './plans.ts'
import type {Proxmox} from './proxmox.ts'
import {type StorageRunner, shown} from './run.ts'
import type {Sharing} from './sharing.ts'
import {VmBackups} from './vm-backups.ts'

interface StorageHostParts {
  drivers: StorageDrivers
  found: FoundStorage
  sharing: Sharing
  mounts: NfsMounts
  shares: NfsShares
  runner: StorageRunner
  locks: StorageLocks
  proxmox: Proxmox
  osImages: OsImages
  templateImages?: TemplateImages | undefined
  joinSettings?: JoinSettings | undefined
}

/** Something of ours that a restart, or somebody, has taken from its place. */
export interface Misplaced {
  what: string
  /** `restore` brings it back. */
  canRestore: boolean
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
  async call<M extends StorageMethod>(
    method: M,
    input: StorageInput<M>,
    signal?: AbortSignal,
  ): Promise<StorageOutput<M>> {
    return this.#methods[method](input, signal)
  }

  /** Pools, exports and mounts of ours that are not in their places. Changes nothing. */
  async misplaced(): Promise<Misplaced[]> {
    const {drivers, shares, mounts} = this.#parts
    const pools = (await drivers.working()).map(async driver => {
      const closed = (await driver.closedPools?.()) ?? []
      return closed.map(pool => ({what: `${driver.type} pool ${pool} is not open`, canRestore: true}))
    })
    const missing = (await shares.missing()).map(({exportPath, network}) => ({
      ...{what: `${exportPath} is not exported to ${network}`, canRestore: true},
    }))
    const lost = (await mounts.list()).flatMap(({name, state, path, detail}) => {
      if (state === 'mounted') return []
      const isAbsent = state === 'absent'
      return [{what: isAbsent ? `${name} is not mounted at ${path}` : `${path}: ${detail}`, canRestore: isAbsent}]
    })
    return [...(await Promise.all(pools)).flat(), ...missing, ...lost]
  }

  /** Brings the pools, exports and mounts of ours to their places after a restart. Resolves to what did not work, in words. */
  async restore(): Promise<string[]> {
    const failures: string[] = []
    for (const driver of await this.#parts.drivers.working()) {
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
    const {drivers, found, sharing, mounts, runner, locks} = this.#parts
    const ofPool = this.#changer<PoolName>(({pool}) => `pool-${poolName(pool)}`)
    const snapshots = (input: StorageInput<'snapshots.list'>) => drivers.of(input.type).snapshots(input)
    const settledSnapshots = ofPool(snapshots)
    const ofMount = this.#changer<{name: string}>(({name}) => `mount-${volumeName(name)}`)
    const backups = new BackupHost({
      ...{runner, locks, driver: type => drivers.of(type)},
      call: (method, input, signal) => this.call(method, input, signal),
    })
    return {
      ...clusterMethods(this.#parts),
      ...backups.methods(),
      ...new VmBackups(this.#parts).methods(),
      'devices.list': () => found.devices(),
      'pools.list': () => found.pools(),
      'pool.create': ofPool(async (input: StorageInput<'pool.create'>, run) => {
        const {type, pool, device, force, mark} = input
        const known = await found.findPool(type, pool)
        if (known) return found.opened(ours(known, mark, `pool ${pool}`), run)
        const {plans} = await drivers.able(type)
        if (device) await found.checkDevice(device, force)
        await run(plans.createPool(input))
        drivers.forget(type)
        return found.opened(await found.pool(type, pool), run)
      }),
      'pool.destroy': ofPool(async ({pool, type, wipe, mark, device}: StorageInput<'pool.destroy'>, run) => {
        const known = await found.findPool(type, pool)
        if (!known && wipe && device) await found.wipeRemnant({pool, type}, device, run)
        if (!known || (mark !== undefined && known.mark !== mark)) return null
        const {devices} = known
        await sharing.without(known, run, () => run(drivers.of(type).plans.destroyPool({pool, devices, wipe})))
        return null
      }),
      'pool.share': ofPool((input: StorageInput<'pool.share'>, run) => sharing.share(input, run)),
      'pool.unshare': ofPool(async ({pool, type}: StorageInput<'pool.unshare'>, run) => {
        await sharing.unshare(await found.pool(type, pool), run)
        return null
      }),
      'mounts.list': () => mounts.list(),
      'mount.create': ofMount((input: StorageInput<'mount.create'>, run) => mounts.create(input, run)),
      'mount.remove': ofMount(async ({name, source}: StorageInput<'mount.remove'>, run) => {
        await mounts.remove(name, run, source)
        return null
      }),
      'volumes.list': ({pool, type}) => drivers.of(type).volumes(pool),
      'volume.create': ofPool(async (input: StorageInput<'volume.create'>, run) => {
        const driver = drivers.of(input.type)
        const known = (await driver.volumes(input.pool)).find(({volume}) => volume === input.volume)
        if (known) return found.openedVolume(ours(known, input.mark, `volume ${input.pool}/${input.volume}`), run)
        await run(driver.plans.createVolume(input))
        return found.openedVolume(await found.volume(input), run)
      }),
      'volume.quota': ofPool(async (input: StorageInput<'volume.quota'>, run) => {
        const {plans, facts} = drivers.of(input.type)
        if (!facts.quota) throw new StorageError('unsupported', `A ${input.type} pool enforces no quota.`)
        await run(plans.setQuota(input))
        return found.volume(input)
      }),
      'volume.delete': ofPool(async (input: StorageInput<'volume.delete'>, run) => {
        const {pool, volume, mark} = input
        const driver = drivers.of(input.type)
        const isOther =
          mark !== undefined && (await driver.volumes(pool)).some(one => one.volume === volume && one.mark !== mark)
        if (isOther) return null
        await sharing.letGo(input, run)
        await run(driver.plans.deleteVolume(input))
        return null
      }),
      'snapshots.list': (input, signal) => (input.settled ? settledSnapshots(input, signal) : snapshots(input)),
      'snapshot.create': ofPool(async (input: StorageInput<'snapshot.create'>, run) => {
        const driver = drivers.of(input.type)
        const look = async () => (await driver.snapshots(input)).find(({snapshot}) => snapshot === input.snapshot)
        const known = driver.facts.snapshots ? await look() : undefined
        if (known) return known
        await run(driver.plans.createSnapshot(input))
        const made = await look()
        if (!made) throw new StorageError('failed', `Snapshot ${input.snapshot} was made, and is not there.`)
        return made
      }),
      'snapshot.delete': ofPool(async (input: StorageInput<'snapshot.delete'>, run) => {
        await run(drivers.of(input.type).plans.deleteSnapshot(input))
        return null
      }),
      'snapshot.rollback': ofPool(async (input: StorageInput<'snapshot.rollback'>, run) => {
        const {quotaBytes} = await found.volume(input)
        await sharing.letGo(input, run)
        await run(drivers.of(input.type).plans.rollback({...input, quotaBytes}))
        return null
      }),
      'snapshot.clone': ofPool(async (input: StorageInput<'snapshot.clone'>, run) => {
        const driver = drivers.of(input.type)
        const known = (await driver.volumes(input.pool)).find(({volume}) => volume === input.to)
        if (known) return found.openedVolume(ours(known, input.mark, `volume ${input.pool}/${input.to}`), run)
        await run(driver.plans.clone(input))
        return found.openedVolume(await found.volume({...input, volume: input.to}), run)
      }),
      plan: async ({method, input}) => (await planChange(this.#parts, method, input as never)).map(shown),
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

  async #run(commands: readonly StorageCommand[], options: {signal?: AbortSignal; lock?: string} = {}): Promise<void> {
    for (const command of commands) await this.#parts.runner.run(command, options)
  }
}

/** What is there already is fine when this very task made it (reliability M24). */
function ours<T extends {mark: string}>(found: T, mark: string, what: string): T {
  if (found.mark === mark) return found
  throw new StorageError('exists', `There is already a ${what}, made by somebody else.`)
}
