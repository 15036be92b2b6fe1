import type {BackupFormat, BackupJobState, PoolType, StorageInput} from '../../contract/storage-protocol.ts'
import type {BackupRecord, SiteRecord} from '../records.ts'
import {isPassing, type Recipe, type StepRun} from '../task.ts'
import {foundVolume, hasQuota, siteLock} from './site-recipes.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
const mebibyte = 2 ** 20

interface VolumePlace {
  nodeId: string
  node: string
  pool: string
  type: PoolType
  volume: string
}

export interface PieceWork {
  id: string
  targetId: string
  filename: string
  sizeBytes: number
  checksum: string
}

export interface BackupWork extends VolumePlace {
  backupId: string
  site: SiteRecord
  targetId: string
  provider: string
  /** Where the file will lie, for people. */
  path: string
  filename: string
  takenAt: string
  snapshot: string
  format: BackupFormat
  baseId: string | null
  /** The snapshot of the one it builds on. */
  since: string | null
  /** Older ones that go when this one is there. */
  expired: {id: string; filename: string}[]
  /** Snapshots that older ones kept for the next difference, and that serve no more. */
  letGo: {id: string; snapshot: string}[]
}

export interface VerifyWork {
  nodeId: string
  node: string
  filename: string
  pieces: PieceWork[]
}

export interface RestoreWork extends VolumePlace {
  siteId: string
  isNew: boolean
  quotaBytes: number
  filename: string
  format: BackupFormat
  pieces: PieceWork[]
}

export interface DeletionWork extends Partial<VolumePlace> {
  /** '' when nobody gets at the file any more: the record alone goes. */
  nodeId: string
  node: string
  id: string
  targetId: string
  filename: string
  /** Kept on the volume for the next difference. */
  snapshot: string | null
}

type JobMethod = 'backup.make' | 'backup.verify' | 'backup.restore' | 'vm.backup' | 'vm.restore'

/** Asks again and again until the job is done; the node works on when nobody asks. */
export async function worked<M extends JobMethod>(
  run: StepRun<{nodeId: string}>,
  {method, input, expectedBytes}: {method: M; input: StorageInput<M>; expectedBytes: number},
): Promise<Extract<BackupJobState, {state: 'done'}>> {
  for (;;) {
    run.signal.throwIfAborted()
    const state = (await run.agent(run.input.nodeId).storage(method, input, run.signal)) as BackupJobState
    if (state.state === 'done') return state
    run.progress(Math.min(99, (100 * state.bytes) / Math.max(1, expectedBytes)))
  }
}

async function placesOf({target}: Pick<StepRun, 'target'>, pieces: readonly PieceWork[]) {
  return Promise.all(
    pieces.map(async ({targetId, filename, sizeBytes, checksum}) => ({
      ...{target: await target(targetId), filename, sizeBytes, checksum},
    })),
  )
}

const bytesOf = (pieces: readonly PieceWork[]) => pieces.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0)
const volumeOf = ({pool, type, volume}: VolumePlace) => ({pool, type, volume})
const backupLocks = (pieces: readonly {id: string}[]) => pieces.map(({id}) => `backup:${id}`)

async function hasSnapshot({agent, input}: StepRun<VolumePlace>, name: string, settled = false): Promise<boolean> {
  const found = await agent(input.nodeId).storage('snapshots.list', {...volumeOf(input), settled})
  return found.some(({snapshot}) => snapshot === name)
}

/** Tidying that fails is said, and harms nothing that was done. */
async function tryTo(run: Pick<StepRun, 'log'>, what: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (isPassing(error)) throw error
    await run.log(`${what}: ${(error as Error).message}`)
    return false
  }
}

export const createBackup: Recipe<BackupWork> = {
  type: 'backup.create',
  deadlineMs: dayMs,
  object: ({filename}) => filename,
  locks: work => [
    siteLock(work.site.id),
    ...(work.baseId ? [`backup:${work.baseId}`] : []),
    ...backupLocks(work.expired),
  ],
  steps: () => [
    {
      name: 'snapshot',
      title: ({volume, pool}) => `Taking a snapshot of ${pool}/${volume}`,
      isDone: run => hasSnapshot(run, run.input.snapshot),
      async do({agent, input, signal}) {
        await agent(input.nodeId).storage('snapshot.create', {...volumeOf(input), snapshot: input.snapshot}, signal)
      },
      async undo({agent, input}) {
        await agent(input.nodeId).storage('snapshot.delete', {...volumeOf(input), snapshot: input.snapshot})
      },
    },
    {
      name: 'store',
      weight: 20,
      title: ({filename, provider}) => `Writing ${filename} to ${provider}`,
      async isDone({agent, input, notes, target}) {
        if (notes.sizeBytes === undefined) return false
        const place = {target: await target(input.targetId), filename: input.filename}
        return (await agent(input.nodeId).storage('backup.find', place)).sizeBytes === notes.sizeBytes
      },
      async do(run) {
        const {snapshot, filename, format, since, site, targetId} = run.input
        const place = {...volumeOf(run.input), target: await run.target(targetId), filename}
        const {taskId: job, isAgain} = run
        const input = {...place, snapshot, job, format, ...(isAgain ? {isAgain} : {}), ...(since ? {since} : {})}
        const done = await worked(run, {method: 'backup.make', input, expectedBytes: site.usedBytes})
        Object.assign(run.notes, {sizeBytes: done.sizeBytes, checksum: done.checksum})
      },
      async undo({agent, input, taskId, target}) {
        const place = {target: await target(input.targetId), filename: input.filename}
        const source = {...volumeOf(input), snapshot: input.snapshot}
        await agent(input.nodeId).storage('backup.delete', {...place, job: taskId, source})
      },
    },
    {
      name: 'tidy',
      isIrrevocable: true,
      title: () => 'Removing what is not needed any more',
      isDone: async ({notes}) => notes.tidied === true,
      async do(run) {
        const {input, notes, agent} = run
        const storage = agent(input.nodeId)
        const [removed, released]: [string[], string[]] = [[], []]
        const own = input.format === 'tar' ? [{id: input.backupId, snapshot: input.snapshot}] : []
        for (const {id, snapshot} of [...own, ...input.letGo]) {
          const isGone = await tryTo(run, `Snapshot ${snapshot} stays`, () =>
            storage.storage('snapshot.delete', {...volumeOf(input), snapshot}),
          )
          if (isGone) released.push(id)
        }
        for (const {id, filename} of input.expired) {
          const place = {target: await run.target(input.targetId), filename, job: id}
          const isGone = await tryTo(run, `${filename} stays`, () => storage.storage('backup.delete', place))
          if (isGone) removed.push(id)
        }
        Object.assign(notes, {removed, released, tidied: true})
      },
    },
  ],
  result: ({input, notes}) => ({
    ...{backupId: input.backupId, filename: input.filename, path: input.path},
    ...{sizeBytes: notes.sizeBytes, checksum: notes.checksum},
  }),
  async ended({tx}, {status, input: given, notes, updatedAt}) {
    if (status !== 'completed') return
    const input = given as unknown as BackupWork
    const {backupId: id, filename, path, provider, takenAt, targetId, baseId, format, nodeId, node} = input
    const {number: _, version: __, ...origin} = input.site
    await tx.backups.insert({
      ...{id, createdAt: updatedAt, updatedAt, siteId: input.site.id, site: input.site.name, nodeId, node},
      ...(origin.ownerId === undefined ? {} : {ownerId: origin.ownerId}),
      ...{filename, path, provider, takenAt, targetId, baseId, format, origin},
      ...{sizeBytes: notes.sizeBytes as number, checksum: notes.checksum as string},
      ...{type: baseId ? 'incremental' : 'full', status: 'SUCCESS'},
      ...(format === 'send' ? {snapshot: input.snapshot} : {}),
    })
    for (const released of (notes.released ?? []) as string[]) {
      const older = released === id ? undefined : await tx.backups.find(released)
      if (older) await tx.backups.save(withoutSnapshot(older))
    }
    for (const gone of (notes.removed ?? []) as string[]) await tx.backups.delete(gone)
    const site = await tx.sites.find(input.site.id)
    if (site && takenAt > (site.lastBackupAt ?? '')) await tx.sites.save({...site, lastBackupAt: takenAt, updatedAt})
  },
}

function withoutSnapshot({snapshot: _, ...rest}: BackupRecord): BackupRecord {
  return rest
}

export const verifyBackup: Recipe<VerifyWork> = {
  type: 'backup.verify',
  deadlineMs: dayMs,
  object: ({filename}) => filename,
  locks: ({pieces}) => backupLocks(pieces),
  steps: () => [
    {
      name: 'read',
      title: ({filename}) => `Reading ${filename} again`,
      isDone: async ({notes}) => notes.verified === true,
      async do(run) {
        const {pieces} = run.input
        const input = {job: run.taskId, pieces: await placesOf(run, pieces)}
        await worked(run, {method: 'backup.verify', input, expectedBytes: bytesOf(pieces)})
        run.notes.verified = true
      },
      undo: async ({agent, input, taskId}) => void (await agent(input.nodeId).storage('backup.end', {job: taskId})),
    },
  ],
  result: ({input}) => ({filename: input.filename, files: input.pieces.length, sizeBytes: bytesOf(input.pieces)}),
}

export const restoreBackup: Recipe<RestoreWork> = {
  type: 'backup.restore',
  deadlineMs: dayMs,
  object: ({filename}) => filename,
  locks: work => [siteLock(work.siteId), ...backupLocks(work.pieces)],
  steps: ({isNew}) => [
    ...(isNew ? [] : [guard]),
    {
      name: 'restore',
      weight: 20,
      title: ({filename, volume, node}) => `Restoring ${filename} into ${volume} on ${node}`,
      isDone: async ({notes}) => notes.restored === true,
      async do(run) {
        const {pieces, format, quotaBytes} = run.input
        const volume = {...volumeOf(run.input), quotaBytes, replace: !isNew}
        const input = {...volume, job: run.taskId, format, pieces: await placesOf(run, pieces)}
        await worked(run, {method: 'backup.restore', input, expectedBytes: bytesOf(pieces)})
        run.notes.restored = true
      },
      async undo({agent, input, taskId}) {
        const storage = agent(input.nodeId)
        await storage.storage('backup.end', {job: taskId, into: volumeOf(input)})
        if (isNew) await storage.storage('volume.delete', {...volumeOf(input), mark: taskId})
      },
    },
    ...(isNew ? [] : [dropGuard]),
    limit,
  ],
  result: ({input}) => ({siteId: input.siteId, site: input.volume, node: input.node, filename: input.filename}),
  async ended({tx}, {status, input: given, notes, updatedAt}) {
    const {siteId, isNew} = given as unknown as RestoreWork
    const site = await tx.sites.find(siteId)
    if (!site) return
    const found = notes as Pick<SiteRecord, 'usedBytes' | 'enforcedBytes'>
    const {enforcedBytes = site.enforcedBytes, usedBytes = site.usedBytes} = found
    if (isNew && status !== 'completed') await tx.sites.delete(siteId)
    else await tx.sites.save({...site, status: 'active', enforcedBytes, usedBytes, updatedAt})
  },
}

const guardOf = (taskId: string) => `before-${taskId.slice(0, 8)}`

/** The state before, which a restore that fails goes back to. */
const guard = {
  name: 'guard',
  title: ({volume}: RestoreWork) => `Keeping ${volume} as it is`,
  isDone: (run: StepRun<RestoreWork>) => hasSnapshot(run, guardOf(run.taskId)),
  async do({agent, input, taskId}: StepRun<RestoreWork>) {
    await agent(input.nodeId).storage('snapshot.create', {...volumeOf(input), snapshot: guardOf(taskId)})
  },
  async undo(run: StepRun<RestoreWork>) {
    const snapshot = {...volumeOf(run.input), snapshot: guardOf(run.taskId)}
    // Who is cancelled amid the making of it leaves the node still making it.
    if (await hasSnapshot(run, snapshot.snapshot, true)) {
      await run.agent(run.input.nodeId).storage('snapshot.rollback', snapshot)
      await run.agent(run.input.nodeId).storage('snapshot.delete', snapshot)
    }
    if (!(await hasQuota(run))) await setQuota(run)
  },
}

/** After the guard is gone, because what it holds counts. */
const limit = {
  name: 'quota',
  title: ({volume}: RestoreWork) => `Setting the quota of ${volume}`,
  isDone: async (run: StepRun<RestoreWork>) => (await hasQuota(run)) || run.notes.isOverQuota === true,
  do: setQuota,
}

/** Files may take more room than they did where they were: then what is there stays, and nothing can be added. */
async function setQuota(run: StepRun<RestoreWork>): Promise<void> {
  const {agent, input, notes} = run
  const set = (quotaBytes: number) => agent(input.nodeId).storage('volume.quota', {...volumeOf(input), quotaBytes})
  const isSet = await tryTo(run, `${input.volume} takes more room than its quota`, () => set(input.quotaBytes))
  if (isSet) return
  const found = await foundVolume(run, input)
  await set(Math.max(input.quotaBytes, Math.ceil((found?.usedBytes ?? 0) / mebibyte) * mebibyte))
  notes.isOverQuota = true
}

const dropGuard = {
  name: 'release',
  isIrrevocable: true,
  title: ({volume}: RestoreWork) => `Letting go of the old ${volume}`,
  isDone: async (run: StepRun<RestoreWork>) => !(await hasSnapshot(run, guardOf(run.taskId))),
  async do({agent, input, taskId}: StepRun<RestoreWork>) {
    await agent(input.nodeId).storage('snapshot.delete', {...volumeOf(input), snapshot: guardOf(taskId)})
  },
}

export const deleteBackup: Recipe<DeletionWork> = {
  type: 'backup.delete',
  deadlineMs: 60 * minuteMs,
  object: ({filename}) => filename,
  locks: ({id}) => [`backup:${id}`],
  steps: () => [
    {
      name: 'delete',
      isIrrevocable: true,
      title: ({filename}) => `Deleting ${filename}`,
      isDone: async ({notes}) => notes.deleted === true,
      async do(run) {
        const {nodeId, targetId, filename, id, snapshot, pool, type, volume} = run.input
        if (nodeId === '') {
          await run.log(`The file ${filename} stays: the node where it lies is gone.`)
          run.notes.deleted = true
          return
        }
        const storage = run.agent(nodeId)
        await storage.storage('backup.delete', {target: await run.target(targetId), filename, job: id}, run.signal)
        if (snapshot && pool && type && volume) {
          await tryTo(run, `Snapshot ${snapshot} stays`, () =>
            storage.storage('snapshot.delete', {pool, type, volume, snapshot}),
          )
        }
        run.notes.deleted = true
      },
    },
  ],
  result: ({input}) => ({filename: input.filename, fileStays: input.nodeId === ''}),
  async ended({tx}, {status, input}) {
    if (status === 'completed') await tx.backups.delete((input as unknown as DeletionWork).id)
  },
}
