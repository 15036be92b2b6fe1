import type {PoolType, StorageInput} from '../../contract/storage-protocol.ts'
import type {Recipe, StepRun} from '../task.ts'
import {type Registration, registerStep, unregisterStep} from './registration.ts'

const minuteMs = 60_000

export interface PoolWork {
  poolId: string
  nodeId: string
  node: string
  pool: string
  type: PoolType
  /** What the cluster manager is to call it, for what, and what it calls the node. */
  storageName: string
  content: readonly ('images' | 'rootdir')[]
  clusterNode: string
  /** '' where it needs none. */
  device: string
}

export interface PoolCreationWork extends PoolWork {
  force: boolean
  comment: string
}

const registeredTypes: Partial<Record<PoolType, 'zfspool' | 'lvm'>> = {zfs: 'zfspool', lvm: 'lvm'}

export function registrationOf({nodeId, node, pool, type, storageName, content, clusterNode}: PoolWork): Registration {
  const known = registeredTypes[type]
  if (!known) return {nodeId, node, wanted: undefined}
  return {nodeId, node, wanted: {storage: storageName, type: known, pool, content, nodes: [clusterNode]}}
}

/** The pool's own lock, and that of its device: one operation on each at a time (wire.md 2.4). */
function locksOf({nodeId, pool, device}: PoolWork): string[] {
  return [`pool:${nodeId}:${pool}`, ...(device ? [`device:${nodeId}:${device}`] : [])]
}

async function foundPool({agent, input}: StepRun<PoolWork>) {
  const pools = await agent(input.nodeId).storage('pools.list', {})
  return pools.find(({pool, type}) => pool === input.pool && type === input.type)
}

function destructionOf({pool, type, device}: PoolWork): StorageInput<'pool.destroy'> {
  return {pool, type, wipe: true, ...(device ? {device} : {})}
}

export const createPool: Recipe<PoolCreationWork> = {
  type: 'pool.create',
  deadlineMs: 30 * minuteMs,
  object: ({pool}) => pool,
  locks: locksOf,
  steps: input => [
    {
      name: 'create',
      title: ({pool, type, device, node}) => `Making ${type} pool ${pool}${device ? ` on ${device}` : ''} of ${node}`,
      async isDone(run) {
        const found = await foundPool(run)
        if (found?.mark === run.taskId) run.notes.isOurs = true
        return found?.mark === run.taskId && found.path !== ''
      },
      async do({agent, input, taskId, signal, notes}) {
        const {nodeId, pool, type, device, force, comment} = input
        // From here on a pool of this name may be ours: what was there before was looked for when the task was handed in.
        notes.begun = true
        const creation = {pool, type, force, mark: taskId, ...(device ? {device} : {}), ...(comment ? {comment} : {})}
        await agent(nodeId).storage('pool.create', creation, signal)
      },
      /** Asked of the node without a look before: what was cut off may still be at work there, and is waited for. */
      async undo({agent, input, taskId, notes}) {
        // Without force a label that the device bears is somebody's data, until a pool of ours was seen there.
        const device = input.force || notes.isOurs ? input.device : ''
        await agent(input.nodeId).storage('pool.destroy', {...destructionOf({...input, device}), mark: taskId})
      },
    },
    registerStep(registrationOf(input)),
  ],
  result: ({input, notes}) => ({
    poolId: `storage-${input.pool}`,
    poolName: input.pool,
    registered: notes.registered === true,
  }),
  async ended({tx}, {status, input, notes}) {
    const pool = await tx.pools.find((input as unknown as PoolCreationWork).poolId)
    if (!pool) return
    const registered = notes.registered === true || null
    if (status === 'completed') await tx.pools.save({...pool, state: 'ready', registered})
    else await tx.pools.delete(pool.id)
  },
}

export const destroyPool: Recipe<PoolWork> = {
  type: 'pool.delete',
  deadlineMs: 30 * minuteMs,
  object: ({pool}) => pool,
  locks: locksOf,
  steps: input => [
    unregisterStep(registrationOf(input)),
    {
      name: 'destroy',
      isIrrevocable: true,
      title: ({pool, node}) => `Destroying pool ${pool} of ${node}`,
      // The pool is gone before its label is: only the node knows when all is done.
      isDone: async run => run.notes.isDestroyed === true && (await foundPool(run)) === undefined,
      async do({agent, input, signal, notes}) {
        await agent(input.nodeId).storage('pool.destroy', destructionOf(input), signal)
        notes.isDestroyed = true
      },
    },
  ],
  result: ({input}) => ({poolName: input.pool}),
  async ended({tx}, {status, input}) {
    const pool = await tx.pools.find((input as unknown as PoolWork).poolId)
    if (!pool) return
    if (status === 'completed') await tx.pools.delete(pool.id)
    else await tx.pools.save({...pool, state: 'ready'})
  },
}
