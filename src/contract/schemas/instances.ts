import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ClaimSpec, EnvironmentVariables, RestartPolicy, Volumes} from './claims.ts'
import {ById, CatalogueEntry, Done, identity, Labels, Name, Nullable, Page, Reference, Time, Uuid} from './common.ts'
import {HeldGpu} from './nodes.ts'

export const InstanceStatus = Type.Enum(['creating', 'running', 'stopping', 'exited', 'failed', 'deleting', 'unknown'])
export type InstanceStatus = Static<typeof InstanceStatus>

const Restored = {
  snapshotId: Uuid,
  /** Name of the snapshot. */
  snapshot: Type.String(),
  imageId: Type.String(),
  /** Grows with each restore. */
  count: Type.Integer({minimum: 1}),
  /** Of the binding that it belongs to: on another node the instance is made of its image again. */
  epoch: Type.Integer({minimum: 1}),
}

/** The container that a claim becomes. It is there from the submit on: `creating` until it runs. */
export const Instance = Type.Object({
  ...identity,
  name: Name,
  /** Name of its claim. */
  claim: Type.String(),
  claimId: Uuid,
  owner: Type.String(),
  ownerId: Uuid,
  image: Type.String(),
  /** Entries of the catalogue that it was made from. */
  catalogueImage: Type.Optional(CatalogueEntry),
  catalogueSpec: Type.Optional(CatalogueEntry),
  /** Named volumes that are or were its own; they go when it is deleted, unless kept. */
  volumes: Type.Optional(Type.Array(Type.Object({name: Type.String(), path: Type.String()}))),
  /** What the owner wants. */
  desired: Type.Enum(['running', 'stopped', 'deleted']),
  status: InstanceStatus,
  reason: Type.String(),
  node: Type.String(),
  nodeId: Type.String(),
  runtime: Type.String(),
  containerId: Type.String(),
  containerName: Type.String(),
  epoch: Type.Integer(),
  gpus: Type.Array(HeldGpu),
  /** What it may use at most; absent: all that there is. */
  cpus: Type.Optional(Type.Number()),
  memoryMiB: Type.Optional(Type.Integer()),
  exitCode: Nullable(Type.Integer()),
  restarts: Type.Integer(),
  /** The snapshot that its container is made of in place of the image. */
  madeOf: Type.Optional(Type.Object(Restored)),
  /** The last restore. One that failed has left the container as it was. */
  restore: Type.Optional(
    Type.Object({...Restored, state: Type.Enum(['pending', 'done', 'failed']), message: Type.String()}),
  ),
  /** What the runtime could not honour. */
  warnings: Type.Array(Type.String()),
  remark: Type.String(),
  labels: Type.Record(Type.String(), Type.String()),
  startedAt: Nullable(Time),
  finishedAt: Nullable(Time),
  version: Type.Integer({minimum: 0}),
})
export type Instance = Static<typeof Instance>

/** One reading of an instance. Bytes and percentages; null is unknown (wire.md 3.5). */
export const InstanceStats = Type.Object({
  id: Uuid,
  name: Type.String(),
  at: Time,
  cpuPercent: Nullable(Type.Number()),
  cpuPercentRaw: Nullable(Type.Number()),
  memoryUsageBytes: Nullable(Type.Number()),
  memoryLimitBytes: Nullable(Type.Number()),
  memoryPercent: Nullable(Type.Number()),
  networkRxBytes: Nullable(Type.Number()),
  networkTxBytes: Nullable(Type.Number()),
  blockReadBytes: Nullable(Type.Number()),
  blockWriteBytes: Nullable(Type.Number()),
  pids: Nullable(Type.Integer()),
  gpus: Type.Array(
    Type.Object({
      index: Type.Integer(),
      utilizationPercent: Nullable(Type.Number()),
      memoryUsedMiB: Nullable(Type.Integer()),
      /** What it may use: of a shared card its part. */
      memoryMiB: Nullable(Type.Integer()),
      simulated: Type.Boolean(),
    }),
  ),
})
export type InstanceStats = Static<typeof InstanceStats>

/** What is at a path in an instance. A symbolic link is itself, not what it points to. */
export const PathStat = Type.Object({
  /** Last name of the path; `/` for the root. */
  name: Type.String(),
  kind: Type.Enum(['file', 'folder', 'link', 'other']),
  sizeBytes: Type.Integer({minimum: 0}),
  /** Permission bits with setuid, setgid and sticky, as of chmod. */
  mode: Type.Integer({minimum: 0, maximum: 0o7777}),
  modifiedAt: Time,
  /** Where a link points; '' for all else. */
  linkTarget: Type.String(),
})
export type PathStat = Static<typeof PathStat>

/** Of an instance; a relative one begins at its root. */
const Path = Type.String({minLength: 1, maxLength: 4096, pattern: '^[^\\0]+$', description: 'a path without NUL'})
/** What a node has to give for a spec. Free figures of this moment; null is unknown. */
export const MatchedNode = Type.Object({
  id: Uuid,
  number: Type.Integer({minimum: 1}),
  name: Type.String(),
  fits: Type.Boolean(),
  /** The first unmet need; '' when it fits. */
  reason: Type.String(),
  /** How many instances of the spec it could take. */
  capacity: Type.Integer({minimum: 0}),
  region: Type.String(),
  publicIp: Type.String(),
  gpuModel: Type.String(),
  gpuCount: Type.Integer(),
  /** Cards that one more instance could use: wholly free ones, or for a split spec those with room for its part. */
  gpusFree: Type.Integer(),
  /** Of one card; and the most that is free on one. */
  gpuMemoryMiB: Nullable(Type.Integer()),
  gpuMemoryFreeMiB: Nullable(Type.Integer()),
  cpus: Type.Integer(),
  cpusFree: Type.Number(),
  memoryMiB: Type.Integer(),
  memoryFreeMiB: Type.Integer(),
  systemDiskGiB: Nullable(Type.Integer()),
  systemDiskFreeGiB: Nullable(Type.Integer()),
  dataDiskGiB: Nullable(Type.Integer()),
  dataDiskFreeGiB: Nullable(Type.Integer()),
  pricePerHour: Type.Number(),
})
export type MatchedNode = Static<typeof MatchedNode>

const logQuery = {
  id: Reference,
  tail: Type.Optional(Type.Integer({minimum: 0, maximum: 1_000_000})),
  /** RFC 3339 (to nanoseconds), or seconds before now as `10m`, `2h`, `30s`. */
  since: Type.Optional(Type.String({maxLength: 40})),
  until: Type.Optional(Type.String({maxLength: 40})),
  timestamps: Type.Optional(Type.Boolean()),
  stdout: Type.Optional(Type.Boolean()),
  stderr: Type.Optional(Type.Boolean()),
}

/** Data of an event `log`; event `end` carries LogEnd. The event id is where to go on after a cut. */
export const LogEvent = Type.Object({stream: Type.Enum(['stdout', 'stderr']), text: Type.String()})
export type LogEvent = Static<typeof LogEvent>
export const LogEnd = Type.Object({status: InstanceStatus, exitCode: Nullable(Type.Integer()), reason: Type.String()})
export type LogEnd = Static<typeof LogEnd>

const power = Type.Object({id: Reference, graceSeconds: Type.Optional(Type.Integer({minimum: 0, maximum: 3600}))})

export const instances = {
  'instances.list': operation({
    summary: 'List your instances; administrators may list all.',
    access: 'viewer',
    input: Type.Object({
      status: Type.Optional(InstanceStatus),
      all: Type.Optional(Type.Boolean({description: 'of all users (administrators)'})),
      finished: Type.Optional(Type.Boolean({description: 'also those whose claim is over'})),
      name: Type.Optional(Type.String()),
      ...Page,
    }),
    output: Type.Array(Instance),
  }),
  'instances.get': operation({summary: 'One instance.', access: 'viewer', input: ById, output: Instance}),
  'instances.create': operation({
    summary: 'An instance from an image and a spec of the catalogue: a claim with those figures.',
    access: 'user',
    status: 202,
    idempotent: true,
    markable: true,
    input: Type.Object({
      name: Type.Optional(Name),
      /** Entry of the image catalogue, or an image address. */
      image: Type.String({minLength: 1, maxLength: 512}),
      /** Entry of the spec catalogue. */
      spec: Reference,
      node: Type.Optional(Reference),
      command: Type.Optional(Type.Array(Type.String({maxLength: 32_768}), {minItems: 1, maxItems: 1024})),
      env: Type.Optional(EnvironmentVariables),
      remark: Type.Optional(Type.String({maxLength: 512})),
      labels: Type.Optional(Labels),
      restart: Type.Optional(RestartPolicy),
      volumes: Type.Optional(Volumes),
      /** Refuse at once (claim_impossible) when nothing is free for it now. */
      noQueue: Type.Optional(Type.Boolean()),
    }),
    output: Instance,
  }),
  'instances.match': operation({
    summary: 'Nodes that could take an instance of a spec now, best fit first.',
    access: 'viewer',
    input: Type.Object({
      spec: Reference,
      all: Type.Optional(Type.Boolean({description: 'also those that could not, with the reason'})),
    }),
    output: Type.Array(MatchedNode),
  }),
  'instances.update': operation({
    summary:
      'Another name for an instance and its claim, another remark, other limits; absent members stay as they are.',
    access: 'user',
    input: Type.Object({
      id: Reference,
      name: Type.Optional(Name),
      remark: Type.Optional(Type.String({maxLength: 512})),
      /** Limits reach a container that runs without a restart; one from a spec of the catalogue has those of the spec. */
      cpus: ClaimSpec.properties.cpus,
      memoryMiB: ClaimSpec.properties.memoryMiB,
      /** What happens when it ends. */
      restart: Type.Optional(RestartPolicy),
    }),
    output: Instance,
  }),
  'instances.start': operation({summary: 'Start a stopped instance.', access: 'user', input: ById, output: Instance}),
  'instances.stop': operation({
    summary: 'Stop an instance; it keeps its GPUs (rule 3).',
    access: 'user',
    input: power,
    output: Instance,
  }),
  'instances.restart': operation({
    summary: 'Stop and start an instance.',
    access: 'user',
    input: power,
    output: Instance,
  }),
  'instances.delete': operation({
    summary: 'Remove an instance and its volumes, and give its GPUs back.',
    access: 'user',
    input: Type.Object({
      id: Reference,
      keepVolumes: Type.Optional(Type.Boolean({description: 'its data volume stays on the node'})),
    }),
    output: Done,
  }),
  'instances.logs': operation({
    summary: 'The output so far, as frames (application/vnd.gpuctl.frames).',
    access: 'viewer',
    transport: 'bytes',
    /** `previous`: only what came before the last start. */
    input: Type.Object({...logQuery, previous: Type.Optional(Type.Boolean())}),
    output: Type.Object({}),
  }),
  'instances.followLogs': operation({
    summary: 'The output as it comes: events `log`, then `end` when the workload ends.',
    access: 'viewer',
    transport: 'events',
    input: Type.Object(logQuery),
    output: LogEvent,
  }),
  'instances.stats': operation({
    summary: 'Readings of one instance.',
    access: 'viewer',
    transport: 'events',
    input: Type.Object({id: Reference}),
    output: InstanceStats,
  }),
  'instances.exec': operation({
    summary: 'Run a command in an instance over a WebSocket with frames both ways.',
    access: 'user',
    transport: 'socket',
    input: Type.Object({
      id: Reference,
      command: Type.Array(Type.String({maxLength: 32_768}), {minItems: 1, maxItems: 1024}),
      tty: Type.Optional(Type.Boolean()),
      stdin: Type.Optional(Type.Boolean()),
      user: Type.Optional(Type.String({maxLength: 64})),
      workingDir: Type.Optional(Type.String({maxLength: 1024})),
      env: Type.Optional(Type.Array(Type.String({maxLength: 4096}), {maxItems: 64, description: 'KEY=VALUE'})),
      rows: Type.Optional(Type.Integer({minimum: 0, maximum: 65_535})),
      columns: Type.Optional(Type.Integer({minimum: 0, maximum: 65_535})),
    }),
    output: Done,
  }),
  'instances.terminal': operation({
    summary: 'A login shell in an instance, with a terminal, over a WebSocket with frames both ways.',
    access: 'user',
    transport: 'socket',
    input: Type.Object({
      id: Reference,
      shell: Type.Optional(Type.String({maxLength: 255, description: 'name or path of a shell; else bash, else sh'})),
      term: Type.Optional(Type.String({pattern: '^[A-Za-z0-9._+-]{1,64}$', description: 'kind of terminal, as TERM'})),
      rows: Type.Optional(Type.Integer({minimum: 0, maximum: 65_535})),
      columns: Type.Optional(Type.Integer({minimum: 0, maximum: 65_535})),
    }),
    output: Done,
  }),
  'instances.forward': operation({
    summary: 'A connection to a port inside an instance, over a WebSocket with frames both ways.',
    access: 'user',
    transport: 'socket',
    input: Type.Object({id: Reference, port: Type.Integer({minimum: 1, maximum: 65_535, description: 'a TCP port'})}),
    output: Done,
  }),
  'instances.statPath': operation({
    summary: 'What is at a path in an instance.',
    access: 'user',
    input: Type.Object({id: Reference, path: Path}),
    output: PathStat,
  }),
  'instances.archive': operation({
    summary: 'A file or folder of an instance as tar (application/x-tar).',
    access: 'user',
    transport: 'bytes',
    input: Type.Object({id: Reference, path: Path}),
    output: Type.Object({}),
  }),
  'instances.unpack': operation({
    summary: 'Unpack a tar into a folder of an instance: over a WebSocket, the tar in frames.',
    access: 'user',
    transport: 'socket',
    input: Type.Object({id: Reference, path: Path}),
    output: Done,
  }),
}
