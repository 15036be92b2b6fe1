import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, Done, gigabytes, identity, Name, Nullable, Page, Reference, Time} from './common.ts'
import {Task} from './tasks.ts'

const bytes = Type.Integer({minimum: 0, maximum: Number.MAX_SAFE_INTEGER})

/** Grammar of a volume (security T15), because that is its name on the pool. */
const VolumeName = Type.String({
  pattern: '^(?!.*\\.\\.)[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$',
  description: 'letters, digits, dot, dash and underscore; begins and ends with a letter or digit; at most 63',
})
/** What a volume may be: from 1 MiB to 1 PB. */
const volumeBytes = Type.Integer({minimum: 2 ** 20, maximum: 2 ** 50})

const dryRun = Type.Optional(Type.Boolean({description: 'show the commands, do nothing'}))

/** The task that does it, or what it would run on the node. */
const Started = Type.Object({task: Nullable(Task), commands: Type.Array(Type.String())})

/** A consumer of a node's storage, document 003's site: a volume on a pool, or what a node told of. */
export const Site = Type.Object({
  ...identity,
  name: Name,
  nodeId: Type.String(),
  /** Name of the node. */
  node: Type.String(),
  /** Name of the user whose it is; '' for one that its node told of. */
  owner: Type.String(),
  ownerId: Nullable(Type.String()),
  /** Of a site that is a volume; null for one that its node told of. */
  poolId: Nullable(Type.String()),
  /** Its name. */
  pool: Nullable(Type.String()),
  quotaBytes: bytes,
  /** `enforced`: the file system stops who writes more. `counted`: it only shows. `pending`: its node has to hear of it. */
  quotaState: Type.Enum(['enforced', 'counted', 'pending']),
  usedBytes: bytes,
  wpPath: Nullable(Type.String()),
  dbName: Nullable(Type.String()),
  status: Type.Enum(['creating', 'active', 'restoring', 'failed', 'deleting']),
  scheduleFrequency: Type.Enum(['manual', 'daily', 'weekly', 'monthly']),
  /** HH:MM, UTC. */
  scheduleTime: Nullable(Type.String()),
  /** Of the week (0 = Monday) or the month, with commas between. */
  scheduleDays: Nullable(Type.String()),
  /** Of what the schedule makes so many stay. */
  retentionCopies: Type.Integer({minimum: 1}),
  /** And none of it stays longer than so many days, but for the newest. */
  expireDays: Nullable(Type.Integer({minimum: 1})),
  nextRunAt: Nullable(Time),
  lastBackupAt: Nullable(Time),
})
export type Site = Static<typeof Site>

/** What a site was at a moment, kept beside it on its pool; what it holds alone counts to the site's quota. */
export const Snapshot = Type.Object({
  name: Type.String(),
  site: Type.String(),
  siteId: Type.String(),
  createdAt: Time,
  /** Bytes that are nowhere else. */
  usedBytes: bytes,
})
export type Snapshot = Static<typeof Snapshot>

export const BackupType = Type.Enum(['full', 'incremental'])
export const BackupStatus = Type.Enum(['SUCCESS', 'ERROR'])

export const Backup = Type.Object({
  ...identity,
  siteId: Type.String(),
  /** Name of the site when the backup was made. */
  site: Type.String(),
  nodeId: Type.String(),
  /** Name of the node that made it, as it was last known. */
  node: Type.String(),
  /** The node was deleted: what lies in a folder there is out of reach, what lies in a bucket is not. */
  isNodeGone: Type.Boolean(),
  filename: Type.String(),
  sizeBytes: bytes,
  /** Where it lies: `s3://bucket/…` or a path on the node. */
  path: Type.String(),
  type: BackupType,
  status: BackupStatus,
  /** Name of the storage it lies in. */
  provider: Nullable(Type.String()),
  /** SHA-256, hex. */
  checksum: Nullable(Type.String()),
  /** When it was made, RFC 3339 with microseconds. */
  takenAt: Type.String(),
  /** Of one that was made here: where it lies, and the earlier one that it builds on. */
  targetId: Type.Optional(Type.String()),
  baseId: Type.Optional(Nullable(Type.String())),
})
export type Backup = Static<typeof Backup>

/** Storage of a node: what its sites may use together, what it has, what they use. */
export const NodeQuota = Type.Object({
  nodeId: Type.String(),
  node: Type.String(),
  storageQuotaGb: gigabytes,
  totalAvailableGb: gigabytes,
  usedBytes: bytes,
})
export type NodeQuota = Static<typeof NodeQuota>

const Usage = {
  usedBytes: bytes,
  /** One decimal; 0 where the quota is 0. */
  usagePercent: Type.Number(),
  /** Above 100 %, never at it. */
  isOverQuota: Type.Boolean(),
}

export const QuotaStatus = Type.Object({
  nodeId: Type.String(),
  number: Type.Integer(),
  node: Type.String(),
  hostname: Type.String(),
  storageQuotaGb: gigabytes,
  ...Usage,
  sitesCount: Type.Integer(),
  sitesOverQuota: Type.Integer(),
  /** From 80 % on, not over. */
  sitesWarning: Type.Integer(),
  /** The largest first. */
  sites: Type.Array(
    Type.Object({id: Type.String(), number: Type.Integer(), name: Type.String(), quotaBytes: bytes, ...Usage}),
  ),
})
export type QuotaStatus = Static<typeof QuotaStatus>

/** Whether one more backup as large as the last one has room in the site and on the node. */
export const QuotaCheck = Type.Object({
  siteId: Type.String(),
  usedBytes: bytes,
  /** Size of the newest backup that succeeded; 0 when there is none. */
  nextBackupBytes: bytes,
  siteQuotaBytes: bytes,
  nodeUsedBytes: bytes,
  nodeQuotaBytes: bytes,
  fitsSite: Type.Boolean(),
  fitsNode: Type.Boolean(),
})
export type QuotaCheck = Static<typeof QuotaCheck>

const path = Type.String({minLength: 1, maxLength: 1024})
const text = Type.String({minLength: 1, maxLength: 256})

export const sites = {
  'nodes.quota': operation({
    summary: 'Storage quota of a node.',
    access: 'node_admin',
    input: ById,
    output: NodeQuota,
  }),
  'nodes.setQuota': operation({
    summary: 'Set what the sites of a node may use together, and what it has.',
    access: 'super_admin',
    input: Type.Object({id: Reference, storageQuotaGb: gigabytes, totalAvailableGb: Type.Optional(gigabytes)}),
    output: NodeQuota,
  }),
  'nodes.quotaStatus': operation({
    summary: 'What the sites of a node use of its storage quota, and of their own.',
    access: 'node_admin',
    input: ById,
    output: QuotaStatus,
  }),
  'sites.list': operation({
    summary: 'Your sites and those of the nodes that you administer, or those of one node.',
    access: 'viewer',
    input: Type.Object({node: Type.Optional(Reference), ...Page}),
    output: Type.Array(Site),
  }),
  'sites.get': operation({summary: 'One site.', access: 'viewer', input: ById, output: Site}),
  'sites.create': operation({
    summary: 'Make a site: a volume on a pool of a node, with a quota and an owner.',
    access: 'node_admin',
    status: 202,
    input: Type.Object({
      name: VolumeName,
      node: Reference,
      /** The only pool of the node unless given. */
      pool: Type.Optional(Reference),
      quotaBytes: volumeBytes,
      owner: Type.Optional(Type.String({minLength: 1, maxLength: 128, description: 'user name; you unless given'})),
      dryRun,
    }),
    output: Type.Object({site: Nullable(Site), ...Started.properties}),
  }),
  'sites.delete': operation({
    summary: 'Destroy a site with all that is in it; confirm = its name. Refused while an instance mounts it.',
    access: 'user',
    status: 202,
    input: Type.Object({
      id: Reference,
      confirm: Type.Optional(Type.String({description: 'the name once more'})),
      dryRun,
    }),
    output: Started,
  }),
  'sites.setQuota': operation({
    summary: 'Set what a site may use; the quotas of all sites of a node fit into that of the node.',
    access: 'node_admin',
    input: Type.Object({id: Reference, quotaBytes: bytes}),
    output: Site,
  }),
  'sites.snapshots': operation({
    summary: 'Snapshots of a site, the oldest first.',
    access: 'viewer',
    input: ById,
    output: Type.Array(Snapshot),
  }),
  'sites.snapshot': operation({
    summary: 'Keep what a site is now. A name that a snapshot of it has is a conflict.',
    access: 'user',
    status: 201,
    input: Type.Object({
      id: Reference,
      /** Made from the time unless given; `auto-…` is the schedule's. */
      name: Type.Optional(VolumeName),
    }),
    output: Snapshot,
  }),
  'sites.deleteSnapshot': operation({
    summary: 'Forget a snapshot; the site stays as it is.',
    access: 'user',
    input: Type.Object({id: Reference, snapshot: VolumeName}),
    output: Done,
  }),
  'sites.restore': operation({
    summary:
      'Make a site again what it was at a snapshot: what came later is lost, later snapshots too; confirm = its name. Refused while an instance mounts it.',
    access: 'user',
    status: 202,
    input: Type.Object({
      id: Reference,
      snapshot: VolumeName,
      confirm: Type.Optional(Type.String({description: 'the name of the site once more'})),
      dryRun,
    }),
    output: Started,
  }),
  'sites.clone': operation({
    summary: 'Make a new site of what a site was at a snapshot; it takes room only for what changes.',
    access: 'node_admin',
    status: 202,
    input: Type.Object({
      id: Reference,
      snapshot: VolumeName,
      name: VolumeName,
      /** That of the first one unless given. */
      quotaBytes: Type.Optional(volumeBytes),
      owner: Type.Optional(Type.String({minLength: 1, maxLength: 128, description: 'user name; you unless given'})),
      dryRun,
    }),
    output: Type.Object({site: Nullable(Site), ...Started.properties}),
  }),
  'sites.setSchedule': operation({
    summary: 'Say when snapshots of a site are made by themselves, and how long they stay; `manual` ends it.',
    access: 'user',
    input: Type.Object({
      id: Reference,
      frequency: Type.Enum(['manual', 'daily', 'weekly', 'monthly']),
      time: Type.Optional(
        Type.String({pattern: '^([01]\\d|2[0-3]):[0-5]\\d$', description: 'HH:MM, UTC; 03:00 unless given'}),
      ),
      /** Of the week (0 = Monday) or of the month (1–31); the first one unless given. */
      days: Type.Optional(Type.Array(Type.Integer({minimum: 0, maximum: 31}), {minItems: 1, maxItems: 31})),
      /** So many stay; 10 unless given. */
      retentionCopies: Type.Optional(Type.Integer({minimum: 1, maximum: 400})),
      /** And none longer than so many days, but for the newest. */
      expireDays: Type.Optional(Type.Integer({minimum: 1, maximum: 3650})),
    }),
    output: Site,
  }),
  'sites.checkQuota': operation({
    summary: 'Whether the next backup of a site has room.',
    access: 'node_admin',
    input: ById,
    output: QuotaCheck,
  }),
  'sites.report': operation({
    summary: 'A node tells what its sites use; one that is new is recorded.',
    access: 'node',
    input: Type.Object({
      sites: Type.Array(
        Type.Object({
          name: Name,
          usedBytes: bytes,
          wpPath: Type.Optional(Nullable(path)),
          dbName: Type.Optional(Nullable(text)),
        }),
        {maxItems: 1000},
      ),
    }),
    output: Done,
  }),
  'backups.list': operation({
    summary: 'Backups of your sites and of the nodes that you administer, the newest first.',
    access: 'viewer',
    input: Type.Object({node: Type.Optional(Reference), site: Type.Optional(Reference), ...Page}),
    output: Type.Array(Backup),
  }),
  'backups.get': operation({summary: 'One backup.', access: 'viewer', input: ById, output: Backup}),
  'backups.report': operation({
    summary: 'A node tells of a backup that it made; told again it replaces what was told before.',
    access: 'node',
    input: Type.Object({
      /** Name of a site of this node. */
      site: Name,
      filename: Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$',
        description: 'a file name without folders: letters, digits, dot, dash, underscore; at most 128',
      }),
      sizeBytes: bytes,
      path,
      type: BackupType,
      status: BackupStatus,
      provider: Type.Optional(Nullable(text)),
      checksum: Type.Optional(Nullable(Type.String({pattern: '^[0-9a-f]{64}$', description: 'SHA-256, hex'}))),
      takenAt: Type.String({
        pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,6})?Z$',
        description: 'RFC 3339 in UTC, as 2025-12-27T08:22:04.588990Z',
      }),
    }),
    output: Backup,
  }),
}
