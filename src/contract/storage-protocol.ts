/**
 * What server and agent say to each other about storage, over the link: `POST /storage/:method` with the method's input
 * as JSON, answered with its output. Sizes in bytes; every change may be repeated after a crash.
 */
export interface StorageMethods extends BackupMethods {
  'devices.list': {input: object; output: BlockDevice[]}
  'pools.list': {input: object; output: FoundPool[]}
  'pool.create': {input: PoolCreation; output: FoundPool}
  /** With a mark: only one that bears it. `device`: wiped also when the pool is gone, and its label was left there. */
  'pool.destroy': {input: PoolName & {wipe: boolean; mark?: string; device?: string}; output: null}
  'pool.share': {input: {pool: string; type: PoolType; share: Share}; output: FoundShare}
  'pool.unshare': {input: {pool: string; type: PoolType}; output: null}
  'mounts.list': {input: object; output: FoundMount[]}
  'mount.create': {input: MountCreation; output: FoundMount}
  /** With a source: only a mount of that. */
  'mount.remove': {input: {name: string; source?: Pick<MountCreation, 'server' | 'exportPath'>}; output: null}
  'volumes.list': {input: PoolName; output: FoundVolume[]}
  'volume.create': {input: VolumeName & {quotaBytes: number | null; mark: string; from?: string}; output: FoundVolume}
  'volume.quota': {input: VolumeName & {quotaBytes: number | null}; output: FoundVolume}
  /** With a mark: only one that bears it. */
  'volume.delete': {input: VolumeName & {mark?: string}; output: null}
  /** `settled`: behind all changes of the pool that are under way, also those of an agent that was killed amid them. */
  'snapshots.list': {input: VolumeName & {settled?: boolean}; output: FoundSnapshot[]}
  'snapshot.create': {input: SnapshotName; output: FoundSnapshot}
  'snapshot.delete': {input: SnapshotName; output: null}
  /** The volume is again as it was; later snapshots may go. */
  'snapshot.rollback': {input: SnapshotName; output: null}
  'snapshot.clone': {input: SnapshotName & {to: string; mark: string}; output: FoundVolume}
  /** What manages the machines around this one as a cluster, and what it knows of their storage. */
  'cluster.look': {input: object; output: FoundCluster}
  'cluster.join': {input: ClusterJoin; output: null}
  /** One that is known already is from now on on these machines too. */
  'storage.register': {input: StorageRegistration; output: null}
  /** From these machines; gone with the last one that has it. */
  'storage.unregister': {input: Pick<StorageRegistration, 'storage' | 'nodes'>; output: null}
  'osImages.list': {input: object; output: FoundOsImage[]}
  'osImage.delete': {input: {storage: string; name: string}; output: null}
  'templates.list': {input: {id: string; name: string}; output: FoundTemplate[]}
  'template.create': {input: TemplateCreation; output: FoundTemplate}
  'template.delete': {input: {id: string; name: string; mark: string}; output: null}
  /** A virtual machine of the cluster manager; null: there is none. */
  'vm.look': {input: VmName; output: {name: string; isRunning: boolean} | null}
  'vm.power': {input: VmName & {to: 'running' | 'stopped'}; output: null}
  'vm.destroy': {input: VmName; output: null}
  /** As the jobs of BackupMethods. `known`: archives that were there before the job was handed in. */
  'vm.backup': {input: VmName & {job: string; storage: string; known: readonly string[]}; output: BackupJobState}
  /** Over the one that is there. */
  'vm.restore': {input: VmName & {job: string; archive: string; storage?: string}; output: BackupJobState}
  /** Ends a job without touching any file. */
  'vm.end': {input: {job: string}; output: null}
  'vmBackups.list': {input: {storage: string; id?: string}; output: FoundVmBackup[]}
  'vmBackup.find': {
    input: VmName & {storage: string; mark: string; known: readonly string[]}
    output: FoundVmBackup | null
  }
  'vmBackup.delete': {input: {archive: string}; output: null}
  /** The very commands that a change would run, one line each, nothing done. */
  plan: {input: {method: PlannedMethod; input: object}; output: string[]}
}

export type StorageMethod = keyof StorageMethods
/** What a dry run can show: changes of pools, mounts, volumes and snapshots. */
export type PlannedMethod =
  | 'storage.register'
  | Exclude<
      StorageMethod,
      | 'plan'
      | `${string}.list`
      | keyof BackupMethods
      | `${'cluster' | 'storage' | 'osImage' | 'template' | 'vm' | 'vmBackup'}.${string}`
    >
export type StorageInput<M extends StorageMethod> = StorageMethods[M]['input']
export type StorageOutput<M extends StorageMethod> = StorageMethods[M]['output']

export type PoolType = 'zfs' | 'lvm' | 'lvm-thin' | 'btrfs' | 'directory' | 'fake'

export interface PoolName {
  pool: string
  type: PoolType
}

export interface VolumeName extends PoolName {
  volume: string
}

export interface SnapshotName extends VolumeName {
  snapshot: string
}

export interface PoolCreation {
  /** Grammar of security T15. */
  pool: string
  type: PoolType
  /** Absent for `directory`: the pool is a folder of the node. */
  device?: string
  /** Erase what the device carries (wire.md, ruling 8). Never a device that is mounted or in use. */
  force: boolean
  /** Written to the pool in the same command, so that a repeat knows its own work (reliability M24). */
  mark: string
  comment?: string
}

export interface Share {
  /** CIDR, /16 or narrower. */
  network: string
  readWrite: boolean
  rootSquash: boolean
}

export interface FoundShare extends Share {
  /** What a client mounts: `/tank`. */
  exportPath: string
}

/** A block device, and what it carries: only a free one is taken without force. */
export interface BlockDevice {
  path: string
  /** Stable name under /dev/disk/by-id, where there is one. */
  byId: string | null
  sizeBytes: number
  model: string
  serial: string
  kind: 'disk' | 'part' | 'loop' | 'raid' | 'lvm' | 'other'
  readOnly: boolean
  /** As `ext4 filesystem "data"`, `partition table gpt`, `mounted at /srv`, `member of ZFS pool tank`. */
  carries: string[]
  /** Mounted, or held by another device: not even force takes it. */
  busy: boolean
}

/** Differences between drivers as facts, not as `if (zfs)`. */
export interface StorageFacts {
  needsDevice: boolean
  /** A volume has a size from its beginning, and can only grow. */
  sized: boolean
  /** A volume's quota is enforced by the file system. */
  quota: boolean
  snapshots: boolean
  clones: boolean
  /** Snapshots can be sent as a stream, and the difference of two of them. */
  send: boolean
}

export interface FoundPool {
  pool: string
  type: PoolType
  facts: StorageFacts
  devices: string[]
  sizeBytes: number
  freeBytes: number
  state: 'online' | 'degraded' | 'faulted' | 'unknown'
  /** Where its volumes stand; '' while it is not mounted. */
  path: string
  mark: string
  share: FoundShare | null
}

export interface MountCreation {
  name: string
  server: string
  exportPath: string
  readOnly: boolean
}

export interface FoundMount extends MountCreation {
  path: string
  /** `dead`: it is mounted, and its server does not answer. */
  state: 'mounted' | 'dead' | 'absent'
  detail: string
}

export interface FoundVolume extends VolumeName {
  /** '' while it is not mounted. */
  path: string
  quotaBytes: number | null
  usedBytes: number
  mark: string
}

export interface FoundSnapshot extends SnapshotName {
  createdAt: string
  usedBytes: number
}

/** A cluster manager of the machine: Proxmox VE, or none. */
export interface FoundCluster {
  manager: 'proxmox' | null
  /** Name of the cluster; '' where this machine is alone in it. */
  cluster: string
  /** What this machine is called in it. */
  node: string
  members: string[]
  storages: RegisteredStorage[]
}

/** A storage that the cluster manager knows. */
export interface RegisteredStorage {
  storage: string
  /** As `zfspool`, `lvm`, `nfs`. */
  type: string
  /** Pool, volume group, or `server:export`. */
  source: string
  /** Empty: all of them. */
  nodes: string[]
}

export interface StorageRegistration {
  storage: string
  /** A pool of ZFS, a volume group of LVM, or another machine's export. */
  type: 'zfspool' | 'lvm' | 'nfs'
  /** Of zfspool and lvm. */
  pool?: string
  /** Of nfs. */
  server?: string
  exportPath?: string
  content: readonly ('images' | 'rootdir')[]
  /** Cluster names of the machines that have it; without them the others would show it as broken. */
  nodes: readonly string[]
}

export interface ClusterJoin {
  /** IPv4 address of the machine that is to become a member. */
  address: string
  /** IPv4 address of a member. */
  master: string
}

/** A file of an operating system: a disk image, or the packed root folder of one. */
export interface FoundOsImage {
  name: string
  sizeBytes: number
  /** As announced, while not all of it has come; else the same. */
  totalBytes: number
  /** As announced, hex; '' once all has come. */
  sha256: string
  updatedAt: string
}

/** What an upload begins with, or goes on with. */
export interface OsImagePart {
  name: string
  /** Where what comes now begins: as much as is there already. */
  offset: number
  totalBytes: number
  /** Of the whole file, hex. */
  sha256: string
}

export interface TemplateCreation {
  /** Number of the virtual machine, or tag of the image. */
  id: string
  name: string
  /** File that was uploaded. */
  image: string
  mark: string
}

export interface FoundTemplate {
  id: string
  name: string
  mark: string
  /** All steps were done. */
  isReady: boolean
}

interface VmName {
  /** Its number. */
  id: string
}

/** A backup of a virtual machine, by the name that the cluster manager gives it. */
export interface FoundVmBackup extends VmName {
  archive: string
  storage: string
  sizeBytes: number
}

/** Where backups lie, with all that is needed to get at it: over the link only, never kept by the agent. */
export type TargetAccess =
  | {type: 'directory'; path: string}
  | {
      type: 's3'
      endpoint: string
      region: string
      bucket: string
      /** Before each file name, with its slash at the end; '' for none. */
      prefix: string
      accessKeyId: string
      secretAccessKey: string
    }

/** `tar`: all files, tar.zst. `send`: the volume's own stream, whole or the difference to an earlier snapshot. */
export type BackupFormat = 'tar' | 'send'

export interface BackupPlace {
  target: TargetAccess
  filename: string
}

/** What of a finished file is asked for. */
export interface BackupPart extends BackupPlace {
  /** Byte that it begins at. */
  offset: number
}

/** A finished file in a target. */
export interface BackupPiece extends BackupPlace {
  sizeBytes: number
  /** SHA-256, hex. */
  checksum: string
}

export interface BackupMaking extends SnapshotName, BackupPlace {
  job: string
  format: BackupFormat
  /** The snapshot that the difference begins at; of `send` alone. */
  since?: string
  /** It was begun before, so that a file of that name is its own, and whole. */
  isAgain?: boolean
}

export interface BackupReading {
  job: string
  pieces: BackupPiece[]
}

export interface BackupRestoring extends BackupReading, VolumeName {
  format: BackupFormat
  /** Of a volume that has a size from its beginning; another has no quota when it is done. */
  quotaBytes: number | null
  /** The volume is there, and is emptied first; of `tar` alone. */
  replace: boolean
}

/** Work that goes on while nobody asks. Asked again with the same `job` it tells how far it is, or what came of it. */
export type BackupJobState = {state: 'running'; bytes: number} | {state: 'done'; sizeBytes: number; checksum: string}

/** Methods of the agent for backups; part of StorageMethods. Each job answers within seconds, done or not. */
export interface BackupMethods {
  'backup.make': {input: BackupMaking; output: BackupJobState}
  /** Reads all of it again and compares sizes and checksums. */
  'backup.verify': {input: BackupReading; output: BackupJobState}
  'backup.restore': {input: BackupRestoring; output: BackupJobState}
  /** Size of the finished file, null when there is none. */
  'backup.find': {input: BackupPlace; output: {sizeBytes: number | null}}
  /** Ends that job, and takes away the file, all that is half done of it, and what `source` was read through. */
  'backup.delete': {input: BackupPlace & {job: string; source?: SnapshotName}; output: null}
  /** Ends a job without touching any file. What a stream had brought for the volume `into` is taken away. */
  'backup.end': {input: {job: string; into?: VolumeName}; output: null}
}
