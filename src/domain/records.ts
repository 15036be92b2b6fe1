import type {Inventory} from '../contract/agent-protocol.ts'
import type {BackupTarget} from '../contract/schemas/backups.ts'
import type {Drain} from '../contract/schemas/drains.ts'
import type {InstanceSnapshot} from '../contract/schemas/instance-snapshots.ts'
import type {DeclaredGpus, NodeListing} from '../contract/schemas/machines.ts'
import type {DisabledGpu, HeldGpu} from '../contract/schemas/nodes.ts'
import type {Backup, Site} from '../contract/schemas/sites.ts'
import type {Mount, Pool} from '../contract/schemas/storage.ts'
import type {Task} from '../contract/schemas/tasks.ts'
import type {BackupFormat} from '../contract/storage-protocol.ts'

/** What the operator says of a machine, for those who rent on it and for those who look after it. */
export interface MachineFacts {
  /** Offered for new work. */
  listed: boolean
  listing: NodeListing
  /** Folder of HAMi-core there; '' = its cards are never split. */
  hamiCore: string
  ssh: {port: number; user: string; sealedPassword: string}
}

/** A machine as the store keeps it; liveness and load are derived from its beats. Times RFC 3339. */
export interface NodeRecord {
  id: string
  number: number
  createdAt: string
  updatedAt: string
  version: number
  /** Unique among active nodes. Equal to the hostname unless that was taken at approval. */
  name: string
  hostname: string
  admission: 'pending' | 'active' | 'blocked'
  kind: 'agent' | 'docker'
  schedulable: boolean
  cordonReason: string
  /** The last drain; absent once it takes work again. */
  drain?: Drain
  /** Registration code while the request waits or its key is not fetched. */
  code: string | null
  codeExpiresAt: string | null
  /** SHA-256 of the poll secret and of the node key, hex. */
  pollSecretHash: string | null
  keyHash: string | null
  /** When the key was first delivered, and when it was first used. */
  keyDeliveredAt: string | null
  keyUsedAt: string | null
  /** Why its key is not taken any more (security 3.1, item 3), else ''. */
  suspendedReason: string
  address: string
  claimedAddress: string
  fingerprint: string
  gpuSummary: string
  os: string
  agentVersion: string
  labels: Record<string, string>
  ownerId: string | null
  /** Of the agentless kind: where its Docker listens; key material is sealed. */
  docker: {address: string; useTls?: boolean; ca: string; cert: string; sealedKey: string} | null
  /** GPUs that the operator declared for an agentless node, where the server cannot look. */
  declaredGpus: DeclaredGpus | null
  /** GPUs that get no new work, by UUID. */
  disabledGpus?: Record<string, DisabledGpu>
  /** What the operator said of it; absent until something is said. */
  facts?: MachineFacts
  /** What the agent told at its last connect. */
  inventory: Inventory | null
  /** What its sites may use together, and what it could give at most; GB = 2^30 bytes. 0 means 0. */
  storageQuotaGb: number
  totalAvailableGb: number
}

/** A node's GPUs bound to one claim. `gpuIndexes` may be empty: a claim for CPUs only. */
export interface Allocation {
  id: string
  number: number
  claimId: string
  instanceId: string
  nodeId: string
  epoch: number
  gpus: HeldGpu[]
  cpus: number
  memoryMiB: number
  systemDiskGiB?: number
  dataDiskGiB?: number
  createdAt: string
  releasedAt: string | null
}

/** A site as the store keeps it. */
export interface SiteRecord extends Omit<Site, 'node' | 'pool' | 'owner' | 'ownerId' | 'quotaState' | 'expireDays'> {
  version: number
  /** Absent: its node told of it. */
  owner?: string
  ownerId?: string
  /** Of a volume: the quota that its file system holds up; null where it cannot. */
  enforcedBytes?: number | null
  expireDays?: number | null
}

/** A snapshot of an instance as the store keeps it. */
export interface InstanceSnapshotRecord extends Omit<InstanceSnapshot, 'instance' | 'node'> {
  ownerId: string
}

/** A backup as an agent told of it, or as it was made here. */
export interface BackupRecord extends Omit<Backup, 'node' | 'isNodeGone'> {
  /** Name of the node when it was made. */
  node?: string
  /** Of the site; absent where it has none. */
  ownerId?: string
  format?: BackupFormat
  /** The snapshot that the next difference begins at, while it is kept. */
  snapshot?: string
  /** The site as it was, for one that is to be restored without it. */
  origin?: Omit<SiteRecord, 'number' | 'version'>
}

/** A place for backups; only its secret is sealed. */
export interface BackupTargetRecord extends BackupTarget {
  sealedSecret: string
}

/** A task as the store keeps it. */
export interface TaskRecord extends Task {
  version: number
  ownerId: string
  /** What was asked, for the steps; never a secret. */
  input: Record<string, unknown>
  /** What steps found out for later ones; kept with each step. */
  notes: Record<string, unknown>
  /** What nobody else may work on meanwhile, as `device:<node>:/dev/sdb`. */
  locks: readonly string[]
}

/** A storage pool as the server wants it; what is there now is asked of its node. */
export interface PoolRecord
  extends Pick<
    Pool,
    | 'id'
    | 'number'
    | 'createdAt'
    | 'updatedAt'
    | 'name'
    | 'nodeId'
    | 'type'
    | 'device'
    | 'storageName'
    | 'content'
    | 'comment'
    | 'registered'
  > {
  state: 'creating' | 'ready' | 'deleting'
}

/** A mount of another machine's export. */
export interface MountRecord
  extends Pick<
    Mount,
    'id' | 'number' | 'createdAt' | 'updatedAt' | 'name' | 'nodeId' | 'server' | 'exportPath' | 'readOnly' | 'content'
  > {
  state: 'creating' | 'ready' | 'deleting'
}
