import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, CatalogueEntry, identity, Labels, Name, Nullable, Page, Reference, Time, Uuid} from './common.ts'
import {HeldGpu} from './nodes.ts'

export const ClaimPhase = Type.Enum(['Pending', 'Scheduled', 'Running', 'Completed', 'Failed', 'Released'])
export type ClaimPhase = Static<typeof ClaimPhase>

export const EnvironmentVariables = Type.Record(
  Type.String({pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$'}),
  Type.String({maxLength: 32_768}),
  {maxProperties: 256},
)

export const ImageAddress = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,510}$',
  description: 'an image as Docker names it (nvidia/cuda:12.0-runtime-ubuntu22.04), or `host` on a process runtime',
})

export const RestartPolicy = Type.Enum(['never', 'on-failure', 'always'])

/** Where a volume may stand in a container: absolute, without `..`, and none of the kernel's own places. */
const MountPath = Type.String({
  pattern: '^(?!/(proc|sys|dev)(/|$))(/(?!\\.{1,2}(/|$))[A-Za-z0-9._-]{1,128}){1,16}$',
  maxLength: 512,
  description: 'an absolute path, as /data; no .. in it, and not below /proc, /sys or /dev',
})

/** Sites of the owner that the container sees; they outlive it. The claim runs on their node. */
export const Volumes = Type.Array(
  Type.Object({
    /** Kept as its id. */
    site: Reference,
    path: MountPath,
    readOnly: Type.Optional(Type.Boolean()),
  }),
  {maxItems: 16},
)

/** What a user asks for. */
export const ClaimSpec = Type.Object({
  /** Name of the claim and of its instance; unique among the owner's live ones. Made up when absent. */
  name: Type.Optional(Name),
  image: ImageAddress,
  /** Absent: the image's own command. */
  command: Type.Optional(Type.Array(Type.String({maxLength: 32_768}), {minItems: 1, maxItems: 1024})),
  env: Type.Optional(EnvironmentVariables),
  gpus: Type.Optional(
    Type.Object({
      count: Type.Integer({minimum: 0, maximum: 1024}),
      /** Part of the model's name, without regard to case and spaces: `4090` finds "NVIDIA GeForce RTX 4090". */
      model: Type.Optional(Type.String({minLength: 1, maxLength: 128})),
      minMemoryMiB: Type.Optional(Type.Integer({minimum: 1})),
      /** The whole name of the model; brand words, case and spaces aside: `RTX 4090` is not "RTX 4090 D". */
      modelName: Type.Optional(Type.String({minLength: 1, maxLength: 128})),
      /** Only so much memory of each card, beside others (HAMi); comes from a spec of the catalogue and from nowhere else. */
      shareMiB: Type.Optional(Type.Integer({minimum: 1})),
    }),
  ),
  cpus: Type.Optional(Type.Number({exclusiveMinimum: 0, maximum: 4096})),
  memoryMiB: Type.Optional(Type.Integer({minimum: 4, maximum: 1 << 30})),
  /** Room for what the container itself writes, where the node's storage can limit it. */
  systemDiskGiB: Type.Optional(Type.Integer({minimum: 1, maximum: 1_000_000})),
  /** A volume at /data that outlives the container and goes with the instance. */
  dataDiskGiB: Type.Optional(Type.Integer({minimum: 1, maximum: 1_000_000})),
  volumes: Type.Optional(Volumes),
  /** −100…100, 0 unless given; above the user's maximum is refused (rule 2). */
  priority: Type.Optional(Type.Integer({minimum: -100, maximum: 100})),
  labels: Type.Optional(Labels),
  /** Running longer than this ends the claim as Failed (MaxTime). */
  maxTimeSeconds: Type.Optional(Type.Integer({minimum: 1, maximum: 10 * 365 * 86_400})),
  restart: Type.Optional(RestartPolicy),
  /** Only this node will do. */
  node: Type.Optional(Reference),
  /** Only nodes that carry these labels. */
  nodeLabels: Type.Optional(Labels),
})
export type ClaimSpec = Static<typeof ClaimSpec>

export const ClaimStatus = Type.Object({
  phase: ClaimPhase,
  /** Why it stands where it stands: `Unschedulable: …`, `Stopped`, `NodeLost`, `ImageMissing`, `Cancelled`, … '' when there is nothing to say. */
  reason: Type.String(),
  nodeName: Type.String(),
  nodeId: Type.String(),
  containerId: Type.String(),
  /** Exit code of the workload once it ended. */
  exitCode: Nullable(Type.Integer()),
  /** Grows with every binding; fences late commands and names the container. */
  epoch: Type.Integer({minimum: 0}),
  /** Failed tries to create the container in a row. */
  attempts: Type.Integer({minimum: 0}),
  /** 1 = next; only while Pending. Derived. */
  position: Nullable(Type.Integer()),
  gpus: Type.Array(HeldGpu),
  startedAt: Nullable(Time),
  finishedAt: Nullable(Time),
})
export type ClaimStatus = Static<typeof ClaimStatus>

export const Claim = Type.Object({
  ...identity,
  name: Name,
  owner: Type.String({description: 'user name'}),
  ownerId: Uuid,
  instanceId: Uuid,
  /** Entries of the catalogue that it was made from. */
  catalogueImage: Type.Optional(CatalogueEntry),
  catalogueSpec: Type.Optional(CatalogueEntry),
  /** Of that spec when it was made. */
  pricePerHour: Type.Optional(Type.Number({minimum: 0})),
  spec: ClaimSpec,
  status: ClaimStatus,
  version: Type.Integer({minimum: 0}),
})
export type Claim = Static<typeof Claim>

/** Why a claim waits: the first unmet need on each node. */
export const Explanation = Type.Object({
  phase: ClaimPhase,
  position: Nullable(Type.Integer()),
  waitingAhead: Type.Integer(),
  /** One sentence for people. */
  verdict: Type.String(),
  /** Some node could hold it if it were empty. */
  possible: Type.Boolean(),
  nodes: Type.Array(Type.Object({node: Type.String(), fits: Type.Boolean(), reason: Type.String()})),
})
export type Explanation = Static<typeof Explanation>

export const claims = {
  'claims.submit': operation({
    summary: 'Ask for GPUs. The claim is queued; the answer comes as soon as it is safely recorded.',
    access: 'user',
    status: 202,
    idempotent: true,
    markable: true,
    input: Type.Object({
      ...ClaimSpec.properties,
      /** Refuse at once (claim_impossible) when nothing is free for it now. */
      noQueue: Type.Optional(Type.Boolean()),
      /** Check everything, record nothing. */
      dryRun: Type.Optional(Type.Boolean()),
    }),
    output: Claim,
  }),
  'claims.list': operation({
    summary: 'List your claims; administrators may list all.',
    access: 'viewer',
    input: Type.Object({
      phase: Type.Optional(ClaimPhase),
      all: Type.Optional(Type.Boolean({description: 'of all users (administrators)'})),
      live: Type.Optional(Type.Boolean({description: 'only those that are not finished'})),
      name: Type.Optional(Type.String()),
      ...Page,
    }),
    output: Type.Array(Claim),
  }),
  'claims.get': operation({summary: 'One claim.', access: 'viewer', input: ById, output: Claim}),
  'claims.explain': operation({summary: 'Why a claim waits.', access: 'viewer', input: ById, output: Explanation}),
  'claims.explainSpec': operation({
    summary: 'Where a claim would fit, without submitting it.',
    access: 'user',
    input: ClaimSpec,
    output: Explanation,
  }),
  'claims.reprioritize': operation({
    summary: 'Move a claim in the queue: another priority, or before all that wait (super administrators).',
    access: 'user',
    input: Type.Object({
      id: Reference,
      /** Above the maximum of its owner only by a super administrator; `front`: the least that puts it before all others. */
      priority: Type.Union([Type.Integer({minimum: -100, maximum: 100}), Type.Literal('front')]),
    }),
    output: Claim,
  }),
  'claims.cancel': operation({
    summary: 'End a claim and give its GPUs back. Cancelling a finished claim answers the claim as it is.',
    access: 'user',
    input: Type.Object({
      id: Reference,
      graceSeconds: Type.Optional(Type.Integer({minimum: 0, maximum: 3600})),
      keepVolumes: Type.Optional(Type.Boolean({description: 'its data volume stays on the node'})),
    }),
    output: Claim,
  }),
}
