import type {
  FoundPool,
  FoundSnapshot,
  FoundVolume,
  PoolCreation,
  PoolType,
  SnapshotName,
  StorageFacts,
  VolumeName,
} from '../contract/storage-protocol.ts'

/** A program with its arguments, as it is run: never through a shell (security T15). */
export interface StorageCommand {
  file: string
  args: readonly string[]
  /** What it says when there was nothing to do any more: no failure. */
  fine?: RegExp
  /** What an older version of the program takes instead, when it says that it does not know this. */
  otherwise?: {when: RegExp; args: readonly string[]}
  /** Longest time it may take, where five minutes are not enough. */
  longestMs?: number
  /** A short lock of the system (a dataset that is just being unmounted) passes: again, up to five times, a second apart. */
  patient?: boolean
}

/** Runs commands in order, as part of one change. */
export type Run = (commands: readonly StorageCommand[]) => Promise<void>

export type StorageErrorCode =
  | 'unavailable' // the programs of this kind of storage are not here
  | 'invalid' // a name or size that this storage does not take
  | 'not_found'
  | 'exists' // and it is not this task's own work
  | 'in_use' // the device carries data or is held; the pool has volumes; the volume is mounted
  | 'needed' // something else was made of it
  | 'full'
  | 'unsupported' // the driver's facts say so
  | 'failed'

/** Why a storage call failed, in words for the operator. */
export class StorageError extends Error {
  constructor(
    readonly code: StorageErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'StorageError'
  }
}

/**
 * One kind of storage on a host. What changes something is a plan, a list of commands that the executor runs in order
 * and that a dry run shows; the driver reads what is there. Plans are pure and their repeat does no harm.
 */
export interface StorageDriver {
  readonly type: PoolType
  readonly facts: StorageFacts
  /** Why it cannot work here, in words, or undefined when it can. */
  unavailable(): Promise<string | undefined>
  pools(): Promise<FoundPool[]>
  volumes(pool: string): Promise<FoundVolume[]>
  /** Throws unsupported where the facts say so; the other snapshot methods too. */
  snapshots(volume: VolumeName): Promise<FoundSnapshot[]>
  readonly plans: StoragePlans
  /** Pools that had their place on this host before it restarted. Absent: they come back by themselves. */
  closedPools?(): Promise<string[]>
  /** What brings one of them back; nothing when it is there or gone by now. */
  restorePlan?(pool: string): Promise<StorageCommand[]>
}

export interface StoragePlans {
  createPool(input: PoolCreation): StorageCommand[]
  /** Brings a pool that is there, and not in the file tree, to its place. */
  openPool?(input: {pool: string; devices: readonly string[]}): StorageCommand[]
  /** `devices` are those of the found pool; `wipe` takes its label from them too. */
  /** What a device carries after the pool was destroyed and before its label was wiped, as `listDevices` says it. */
  remnant?(pool: string): string
  destroyPool(input: {pool: string; devices: readonly string[]; wipe: boolean}): StorageCommand[]
  /** Brings a volume that is there, and not in the file tree, to its place. Absent: what is there is in its place. */
  openVolume?(input: VolumeName): StorageCommand[]
  createVolume(input: VolumeName & {quotaBytes: number | null; mark: string}): StorageCommand[]
  setQuota(input: VolumeName & {quotaBytes: number | null}): StorageCommand[]
  deleteVolume(input: VolumeName): StorageCommand[]
  createSnapshot(input: SnapshotName): StorageCommand[]
  deleteSnapshot(input: SnapshotName): StorageCommand[]
  /** `quotaBytes` is what the volume has now, and keeps. */
  rollback(input: SnapshotName & {quotaBytes: number | null}): StorageCommand[]
  clone(input: SnapshotName & {to: string; mark: string}): StorageCommand[]
  /** Shows a snapshot's files at `path`, read-only, until it is closed. Where snapshots have no clones. */
  readSnapshot?(input: SnapshotName): {path: string; open: StorageCommand[]; close: StorageCommand[]}
  /** Writes the snapshot to stdout as a stream, or the difference to an earlier one. Throws unsupported. */
  send(input: SnapshotName & {since?: string}): StorageCommand
  /** Reads such a stream from stdin into a volume: a new one, or what an earlier stream of the chain made. */
  receive(input: VolumeName): StorageCommand
  /** Makes what was received volume `to` of ours, at once and without the snapshots that came with it. */
  adopt(input: Adoption): StorageCommand[]
}

export interface Adoption extends VolumeName {
  to: string
  quotaBytes: number | null
  mark: string
  snapshots: readonly string[]
}

/** Of plans that send no streams. */
export function noStream(): never {
  throw new StorageError('unsupported', 'The difference of two snapshots is sent from ZFS pools alone.')
}
