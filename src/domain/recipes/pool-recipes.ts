import type {PoolType} from '../../contract/storage-protocol.ts'
import type {Recipe, StepRun} from '../task.ts'

const minuteMs = 60_000

export interface PoolWork {
  poolId: string
  nodeId: string
  node: string
  pool: string
  type: PoolType
}

export interface PoolCreationWork extends PoolWork {
  device: string
  force: boolean
  comment: string
}

/** The pool's own lock, and that of its device: one operation on each at a time (wire.md 2.4). */
function locksOf({nodeId, pool, device}: PoolWork & {device?: string}): string[] {
  return [`pool:${nodeId}:${pool}`, ...(device ? [`device:${nodeId}:${device}`] : [])]
}

async function foundPool({agent, input}: StepRun<PoolWork>) {
  const pools = await agent(input.nodeId).storage('pools.list', {})
  return pools.find(({pool, type}) => pool === input.pool && type === input.type)
}

export const createPool: Recipe<PoolCreationWork> = {
  type: 'pool.create',
  deadlineMs: 30 * minuteMs,
  object: ({pool}) => pool,
  locks: locksOf,
  steps: () => [
    {
      name: 'create',
      title: ({pool, type, device, node}) => `Making ${type} pool ${pool}${device ? ` on ${device}` : ''} of ${node}`,
      async isDone(run) {
        const found = await foundPool(run)
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
      async undo({agent, input: {nodeId, pool, type}, taskId}) {
        await agent(nodeId).storage('pool.destroy', {pool, type, wipe: true, mark: taskId})
      },
    },
  ],
  result: ({input}) => ({poolId: `storage-${input.pool}`, poolName: input.pool, registered: false}),
  async ended({tx}, {status, input}) {
    const pool = await tx.pools.find((input as unknown as PoolCreationWork).poolId)
    if (!pool) return
    if (status === 'completed') await tx.pools.save({...pool, state: 'ready'})
    else await tx.pools.delete(pool.id)
  },
}

export const destroyPool: Recipe<PoolWork> = {
  type: 'pool.delete',
  deadlineMs: 30 * minuteMs,
  object: ({pool}) => pool,
  locks: locksOf,
  steps: () => [
    {
      name: 'destroy',
      title: ({pool, node}) => `Destroying pool ${pool} of ${node}`,
      isDone: async run => (await foundPool(run)) === undefined,
      async do({agent, input: {nodeId, pool, type}, signal}) {
        await agent(nodeId).storage('pool.destroy', {pool, type, wipe: true}, signal)
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
