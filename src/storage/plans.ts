import type {PlannedMethod, PoolType, StorageInput} from '../contract/storage-protocol.ts'
import type {StorageCommand} from './driver.ts'
import type {StorageDrivers} from './drivers.ts'
import type {FoundStorage} from './found.ts'
import type {NfsMounts} from './nfs-mount.ts'
import {type Proxmox, proxmoxPlans} from './proxmox.ts'
import type {Sharing} from './sharing.ts'

export interface PlanningParts {
  drivers: StorageDrivers
  found: FoundStorage
  sharing: Sharing
  mounts: NfsMounts
  proxmox: Proxmox
}

/** The very commands that a change would run now, for a dry run. */
export async function planChange(
  {drivers, found, sharing, mounts, proxmox}: PlanningParts,
  method: PlannedMethod,
  input: never,
): Promise<StorageCommand[]> {
  const {type, pool} = input as {type: PoolType; pool: string}
  const plans = () => drivers.of(type).plans
  const planned: Record<PlannedMethod, () => StorageCommand[] | Promise<StorageCommand[]>> = {
    'pool.create': async () => {
      const {device, force} = input as StorageInput<'pool.create'>
      const {plans} = await drivers.able(type)
      if (device) await found.checkDevice(device, force)
      return plans.createPool(input)
    },
    'pool.destroy': async () => {
      const {devices} = await found.pool(type, pool)
      return plans().destroyPool({...(input as StorageInput<'pool.destroy'>), devices})
    },
    'pool.share': () => sharing.plan(input),
    'pool.unshare': () => sharing.unsharePlan(input),
    'storage.register': async () => ((await proxmox.isPresent()) ? proxmoxPlans.register(input) : []),
    'mount.create': () => mounts.plan(input),
    'mount.remove': () => mounts.removalPlan((input as {name: string}).name),
    'volume.create': () => plans().createVolume(input),
    'volume.quota': () => plans().setQuota(input),
    'volume.delete': () => plans().deleteVolume(input),
    'snapshot.create': () => plans().createSnapshot(input),
    'snapshot.delete': () => plans().deleteSnapshot(input),
    'snapshot.rollback': async () => {
      const {quotaBytes} = await found.volume(input)
      return plans().rollback({...(input as StorageInput<'snapshot.rollback'>), quotaBytes})
    },
    'snapshot.clone': () => plans().clone(input),
  }
  return planned[method]()
}
