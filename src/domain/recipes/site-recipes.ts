import type {FoundVolume, VolumeName} from '../../contract/storage-protocol.ts'
import {isProblem} from '../errors.ts'
import type {Recipe, Step, StepRun} from '../task.ts'

const minuteMs = 60_000

export interface SiteWork extends VolumeName {
  siteId: string
  nodeId: string
  node: string
}

export interface SiteCreationWork extends SiteWork {
  quotaBytes: number
}

export const siteLock = (siteId: string) => `site::${siteId}`

/** Undefined also where its pool is gone. */
export async function foundVolume({agent}: Pick<StepRun, 'agent'>, {nodeId, ...name}: VolumeName & {nodeId: string}) {
  try {
    const volumes = await agent(nodeId).storage('volumes.list', {pool: name.pool, type: name.type})
    return volumes.find(({volume}) => volume === name.volume)
  } catch (error) {
    if (isProblem(error, 'storage_missing')) return undefined
    throw error
  }
}

export function volumeOf({pool, type, volume}: VolumeName): VolumeName {
  return {pool, type, volume}
}

export const createSite: Recipe<SiteCreationWork> = {
  type: 'site.create',
  deadlineMs: 30 * minuteMs,
  object: ({volume}) => volume,
  locks: ({siteId}) => [siteLock(siteId)],
  steps: () => [
    {
      name: 'create',
      title: ({volume, pool, node}) => `Making volume ${volume} on pool ${pool} of ${node}`,
      async isDone(run) {
        const found = await foundVolume(run, run.input)
        if (found?.mark !== run.taskId || found.path === '') return false
        run.notes.enforcedBytes = found.quotaBytes
        return true
      },
      async do({agent, input, taskId, signal}) {
        const creation = {...volumeOf(input), quotaBytes: input.quotaBytes, mark: taskId}
        await agent(input.nodeId).storage('volume.create', creation, signal)
      },
      /** Without a look before: what was cut off may still be at work there, and is waited for. */
      async undo({agent, input, taskId}) {
        try {
          await agent(input.nodeId).storage('volume.delete', {...volumeOf(input), mark: taskId})
        } catch (error) {
          if (!isProblem(error, 'storage_missing')) throw error // its pool is gone, and it with the pool
        }
      },
    },
  ],
  result: ({input}) => ({siteId: input.siteId, name: input.volume}),
  async ended({tx}, {status, input, notes}) {
    const site = await tx.sites.find((input as unknown as SiteCreationWork).siteId)
    if (!site) return
    if (status !== 'completed') await tx.sites.delete(site.id)
    else {
      const enforcedBytes = (notes as {enforcedBytes?: FoundVolume['quotaBytes']}).enforcedBytes ?? null
      await tx.sites.save({...site, status: 'active', enforcedBytes})
    }
  },
}

export const destroySite: Recipe<SiteWork> = {
  type: 'site.delete',
  deadlineMs: 30 * minuteMs,
  object: ({volume}) => volume,
  locks: ({siteId}) => [siteLock(siteId)],
  steps: () => [
    {
      name: 'destroy',
      isIrrevocable: true,
      title: ({volume, pool, node}) => `Destroying volume ${volume} on pool ${pool} of ${node}`,
      isDone: async run => (await foundVolume(run, run.input)) === undefined,
      async do({agent, input, signal}) {
        await agent(input.nodeId).storage('volume.delete', volumeOf(input), signal)
      },
    },
  ],
  result: ({input}) => ({name: input.volume}),
  async ended({tx}, {status, input}) {
    const site = await tx.sites.find((input as unknown as SiteWork).siteId)
    if (!site) return
    if (status === 'completed') await tx.sites.delete(site.id)
    else await tx.sites.save({...site, status: 'active'})
  },
}

export interface SiteRestoreWork extends SiteWork {
  snapshot: string
}

export const restoreSite: Recipe<SiteRestoreWork> = {
  type: 'site.restore',
  deadlineMs: 30 * minuteMs,
  object: ({volume}) => volume,
  locks: ({siteId}) => [siteLock(siteId)],
  steps: () => [
    {
      name: 'rollback',
      isIrrevocable: true,
      title: ({volume, snapshot}) => `Making ${volume} again what it was at ${snapshot}`,
      // Nobody else works on the site meanwhile, so that a second rollback to the same snapshot changes nothing.
      isDone: async ({notes}) => notes.isRolledBack === true,
      async do({agent, input, notes, signal}) {
        await agent(input.nodeId).storage('snapshot.rollback', {...volumeOf(input), snapshot: input.snapshot}, signal)
        notes.isRolledBack = true
      },
    },
  ],
  result: ({input}) => ({name: input.volume, snapshot: input.snapshot}),
  async ended({tx}, {input}) {
    const site = await tx.sites.find((input as unknown as SiteWork).siteId)
    if (site) await tx.sites.save({...site, status: 'active'})
  },
}

export interface SiteCloneWork extends SiteCreationWork {
  from: string
  snapshot: string
}

export const cloneSite: Recipe<SiteCloneWork> = {
  ...createSite,
  type: 'site.clone',
  steps: input => [
    {
      ...(createSite.steps(input)[0] as Step<SiteCloneWork>),
      name: 'clone',
      title: ({volume, from, snapshot, node}) => `Making volume ${volume} of ${from}@${snapshot} on ${node}`,
      async isDone(run) {
        const found = await foundVolume(run, run.input)
        return found?.mark === run.taskId && found.path !== ''
      },
      async do({agent, input: {nodeId, pool, type, volume, from, snapshot}, taskId, signal}) {
        await agent(nodeId).storage(
          'snapshot.clone',
          {...{pool, type, volume: from, snapshot}, to: volume, mark: taskId},
          signal,
        )
      },
    },
    {
      name: 'quota',
      title: ({volume}) => `Setting the quota of ${volume}`,
      isDone: hasQuota,
      async do({agent, input, signal}) {
        const wanted = {...volumeOf(input), quotaBytes: input.quotaBytes}
        await agent(input.nodeId).storage('volume.quota', wanted, signal)
      },
    },
  ],
}

/** Also where its storage has no quotas. Notes what the file system holds up, and what is used. */
export async function hasQuota(run: StepRun<SiteCreationWork>): Promise<boolean> {
  const {nodeId, pool, quotaBytes} = run.input
  const found = await foundVolume(run, run.input)
  Object.assign(run.notes, {enforcedBytes: found?.quotaBytes, usedBytes: found?.usedBytes})
  const pools = await run.agent(nodeId).storage('pools.list', {})
  const enforces = pools.find(one => one.pool === pool)?.facts.quota
  return enforces === false || found?.quotaBytes === quotaBytes
}
