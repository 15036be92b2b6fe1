import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, identity, Nullable, Reference} from './common.ts'
import {Task} from './tasks.ts'

const bytes = Type.Integer({minimum: 0, maximum: Number.MAX_SAFE_INTEGER})

/** Grammar of security T15: none of ZFS's own words. */
const PoolName = Type.String({
  pattern:
    '^(?!(mirror|raidz|draid|spare|replacing|c\\d)|(log|cache|special|dedup)$)(?!.*\\.\\.)[A-Za-z][A-Za-z0-9_.-]{0,62}$',
  description:
    'letters, digits, _ . -; begins with a letter; at most 63; none of mirror, raidz…, draid…, spare, log, cache, special, dedup',
})
const DevicePath = Type.String({
  pattern: '^/dev/(?!.*\\.\\.)(disk/by-id/|mapper/)?[A-Za-z0-9._:-]+$',
  description: 'a whole block device, as /dev/sdb or /dev/disk/by-id/…',
})
const MountName = Type.String({
  pattern: '^(?!.*\\.\\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$',
  description: 'letters, digits, _ . -; at most 63',
})
/** IPv4, /16 or narrower (security T16). */
const Network = Type.String({
  pattern: '^(\\d{1,3}\\.){3}\\d{1,3}/(1[6-9]|2\\d|3[0-2])$',
  description: 'a network of /16 or narrower, as 192.168.3.0/24',
})
const Address = Type.String({pattern: '^(\\d{1,3}\\.){3}\\d{1,3}$', description: 'an IPv4 address'})
const ExportPath = Type.String({
  pattern: '^/(?!(.*/)?\\.\\.(/|$))[A-Za-z0-9._/-]{1,200}$',
  description: 'an absolute path without spaces and commas',
})
const Content = Type.Array(Type.Enum(['images', 'rootdir']), {minItems: 1, uniqueItems: true})

export const PoolType = Type.Enum(['zfs', 'lvm', 'lvm-thin', 'btrfs', 'directory', 'fake'])

export const PoolShare = Type.Object({
  network: Type.String(),
  readWrite: Type.Boolean(),
  rootSquash: Type.Boolean(),
  exportPath: Type.String(),
})

export const Pool = Type.Object({
  ...identity,
  name: Type.String(),
  nodeId: Type.String(),
  /** Name of the node. */
  node: Type.String(),
  type: PoolType,
  /** '' for a folder. */
  device: Type.String(),
  /** What a cluster manager on the node calls it. */
  storageName: Type.String(),
  content: Content,
  comment: Type.String(),
  /** `missing`: the node answers and does not know it. `unknown`: the node does not answer. */
  status: Type.Enum(['creating', 'online', 'degraded', 'faulted', 'missing', 'unknown', 'failed', 'deleting']),
  sizeBytes: Nullable(bytes),
  freeBytes: Nullable(bytes),
  /** Where it stands on its node. */
  path: Type.String(),
  share: Nullable(PoolShare),
  /** The cluster manager of its node knows it; null where there is none. */
  registered: Nullable(Type.Boolean()),
})
export type Pool = Static<typeof Pool>

export const Device = Type.Object({
  node: Type.String(),
  path: Type.String(),
  byId: Nullable(Type.String()),
  sizeBytes: bytes,
  model: Type.String(),
  serial: Type.String(),
  kind: Type.Enum(['disk', 'part', 'loop', 'raid', 'lvm', 'other']),
  readOnly: Type.Boolean(),
  carries: Type.Array(Type.String()),
  busy: Type.Boolean(),
})
export type Device = Static<typeof Device>

export const Mount = Type.Object({
  ...identity,
  name: Type.String(),
  nodeId: Type.String(),
  node: Type.String(),
  server: Type.String(),
  exportPath: Type.String(),
  readOnly: Type.Boolean(),
  content: Content,
  path: Type.String(),
  /** `dead`: mounted, and its server does not answer. */
  status: Type.Enum(['creating', 'mounted', 'dead', 'absent', 'unknown', 'failed', 'deleting']),
  detail: Type.String(),
})
export type Mount = Static<typeof Mount>

/** What a change would run on the node, or the task that does it. */
const Started = Type.Object({task: Nullable(Task), commands: Type.Array(Type.String())})

const dryRun = Type.Optional(Type.Boolean({description: 'show the commands, do nothing'}))
const confirm = Type.Optional(Type.String({description: 'the name once more'}))

export const storage = {
  'devices.list': operation({
    summary: 'Block devices of a node, and what they carry.',
    access: 'node_admin',
    input: Type.Object({node: Reference}),
    output: Type.Array(Device),
  }),
  'pools.list': operation({
    summary: 'Storage pools of a node, or of all nodes that you administer.',
    access: 'node_admin',
    input: Type.Object({node: Type.Optional(Reference)}),
    output: Type.Array(Pool),
  }),
  'pools.get': operation({summary: 'One storage pool.', access: 'node_admin', input: ById, output: Pool}),
  'pools.create': operation({
    summary:
      'Make a storage pool on a device of a node. A device that carries data is taken with force alone, and erased.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({
      name: PoolName,
      node: Reference,
      device: Type.Optional(DevicePath),
      type: Type.Optional(PoolType),
      storageName: Type.Optional(PoolName),
      content: Type.Optional(Content),
      comment: Type.Optional(
        Type.String({pattern: '^[\\x20-\\x7e]{0,128}$', description: 'one line, at most 128 printable characters'}),
      ),
      force: Type.Optional(Type.Boolean({description: 'erase what the device carries'})),
      dryRun,
    }),
    output: Type.Object({pool: Nullable(Pool), ...Started.properties}),
  }),
  'pools.delete': operation({
    summary: 'Destroy a storage pool with all that is in it; confirm = its name.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({id: Reference, confirm, dryRun}),
    output: Started,
  }),
  'pools.share': operation({
    summary: 'Export a pool over NFS to a network.',
    access: 'super_admin',
    input: Type.Object({
      id: Reference,
      network: Network,
      readWrite: Type.Optional(Type.Boolean()),
      rootSquash: Type.Optional(Type.Boolean()),
      dryRun,
    }),
    output: Type.Object({pool: Pool, commands: Type.Array(Type.String())}),
  }),
  'pools.unshare': operation({
    summary: 'End the export of a pool.',
    access: 'super_admin',
    input: Type.Object({id: Reference, dryRun}),
    output: Type.Object({pool: Pool, commands: Type.Array(Type.String())}),
  }),
  'mounts.list': operation({
    summary: 'Exports of other machines that nodes have mounted.',
    access: 'node_admin',
    input: Type.Object({node: Type.Optional(Reference)}),
    output: Type.Array(Mount),
  }),
  'mounts.create': operation({
    summary: 'Mount an export on nodes: mounted, write-tested, kept over a restart.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({
      name: MountName,
      nodes: Type.Array(Reference, {minItems: 1, maxItems: 64, uniqueItems: true}),
      /** A pool that is shared; its node's address and path are taken. */
      pool: Type.Optional(Reference),
      server: Type.Optional(Address),
      exportPath: Type.Optional(ExportPath),
      readOnly: Type.Optional(Type.Boolean()),
      content: Type.Optional(Content),
      dryRun,
    }),
    output: Type.Object({mounts: Type.Array(Mount), ...Started.properties}),
  }),
  'mounts.delete': operation({
    summary: 'Unmount an export from a node.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({id: Reference, dryRun}),
    output: Started,
  }),
}
