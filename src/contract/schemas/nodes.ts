import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, Done, gigabytes, identity, Labels, Nullable, Reference, Time} from './common.ts'
import {Drain, DrainedWork} from './drains.ts'
import {EngineTest, machineFacts, NodeAddition, NodeChange} from './machines.ts'
import {Task} from './tasks.ts'

/** Five characters without 0, 1, I, L and O, so that an operator can read them over the phone. */
const RegistrationCode = Type.String({pattern: '^[A-HJKMNP-Z2-9]{5}$'})

export const GpuVendor = Type.Enum(['nvidia', 'amd', 'fake'])

/** A device as its node reported it. Memory in MiB, temperature in °C, power in W; null is unknown. */
export const Gpu = Type.Object({
  index: Type.Integer({minimum: 0}),
  uuid: Type.String(),
  vendor: GpuVendor,
  model: Type.String(),
  memoryMiB: Nullable(Type.Integer()),
  memoryUsedMiB: Nullable(Type.Integer()),
  utilizationPercent: Nullable(Type.Number()),
  temperatureC: Nullable(Type.Number()),
  powerW: Nullable(Type.Number()),
  computeCapability: Nullable(Type.String()),
  simulated: Type.Boolean(),
})
export type Gpu = Static<typeof Gpu>

/** A part of a card. `percent` is what HAMi-core limits the time to, 1–100. */
export const GpuShare = Type.Object({
  memoryMiB: Type.Integer({minimum: 1}),
  cardMiB: Type.Integer({minimum: 1}),
  percent: Type.Integer({minimum: 1, maximum: 100}),
})
export type GpuShare = Static<typeof GpuShare>

/** A GPU that a claim holds. */
export const HeldGpu = Type.Object({
  index: Type.Integer(),
  uuid: Type.String(),
  model: Type.String(),
  simulated: Type.Boolean(),
  /** Only a part of the card (HAMi): memory and share of its time. Absent: the whole card. */
  share: Type.Optional(GpuShare),
})
export type HeldGpu = Static<typeof HeldGpu>

/** Trust: whether an administrator admitted the machine. */
export const Admission = Type.Enum(['pending', 'active', 'blocked'])
/** Liveness, derived from the age of the last beat: online ≤ 60 s, stale ≤ 5 min, then offline; never = none yet. */
export const Liveness = Type.Enum(['never', 'online', 'stale', 'offline'])
/** One word for people: the admission until it is active, then the liveness. */
export const NodeStatus = Type.Enum(['pending', 'blocked', 'joining', 'online', 'stale', 'offline'])

export const RuntimeName = Type.Enum(['docker', 'process', 'fake'])

export const Node = Type.Object({
  ...identity,
  name: Type.String(),
  hostname: Type.String(),
  status: NodeStatus,
  admission: Admission,
  liveness: Liveness,
  /** The agent's link is open at this moment. */
  connected: Type.Boolean(),
  /** Takes new work. */
  schedulable: Type.Boolean(),
  cordonReason: Type.String(),
  /** The last drain, until the node takes work again; `left`: claims that still have a place there. */
  drain: Nullable(Type.Object({...Drain.properties, left: Type.Integer({minimum: 0})})),
  /** Only while pending, only for those who may approve. */
  code: Nullable(RegistrationCode),
  codeExpiresAt: Nullable(Time),
  /** Where the agent's connection came from, and what it said of itself. */
  address: Type.String(),
  claimedAddress: Type.String(),
  /** SHA-256 of the agent's own key, base64, so that both sides can compare. */
  fingerprint: Type.String(),
  /** What the machine said of its GPUs when it asked to join: `2 × RTX 4090 (simulated)`. */
  gpuSummary: Type.String(),
  /** The name is already that of an active node: look twice. */
  nameTaken: Type.Boolean(),
  /** `agent`: the machine dialled in; `docker`: the server works on its Docker over TLS. */
  kind: Type.Enum(['agent', 'docker']),
  runtime: RuntimeName,
  /** ok, or why containers cannot be run now. */
  runtimeState: Type.Enum(['ok', 'degraded', 'unknown']),
  runtimeReason: Type.String(),
  gpuState: Type.Enum(['ok', 'lost', 'none']),
  gpuReason: Type.String(),
  gpus: Type.Array(Gpu),
  gpusFree: Type.Integer(),
  cpus: Type.Integer(),
  memoryMiB: Type.Integer(),
  os: Type.String(),
  architecture: Type.String(),
  agentVersion: Type.String(),
  labels: Type.Record(Type.String(), Type.String()),
  lastSeenAt: Nullable(Time),
  ...machineFacts,
  /** Some of its hardware is simulated. */
  simulated: Type.Boolean(),
})
export type Node = Static<typeof Node>

/** Why and since when a GPU gets no new work. */
export const DisabledGpu = Type.Object({
  reason: Type.String(),
  by: Type.String({description: 'user name'}),
  at: Time,
})
export type DisabledGpu = Static<typeof DisabledGpu>

/** `gpu-03:1`, or its UUID. */
const GpuReference = Type.String({minLength: 1, maxLength: 320, description: 'NODE:INDEX, or UUID'})

/** A GPU of the fleet, with who holds it. */
export const FleetGpu = Type.Object({
  ...Gpu.properties,
  node: Type.String(),
  nodeId: Type.String(),
  /**
   * `shared`: parts of it are held; memoryFreeMiB is what is left for further parts. `disabled`: an operator took it out of
   * placement and nobody holds it; of one that is held `disabled` says so.
   */
  state: Type.Enum(['free', 'shared', 'used', 'disabled', 'unavailable']),
  disabled: Nullable(DisabledGpu),
  memoryFreeMiB: Nullable(Type.Integer()),
  /** Who holds it; of a shared card all those that the caller may see, with commas. */
  claim: Nullable(Type.String()),
  instance: Nullable(Type.String()),
  owner: Nullable(Type.String()),
})
export type FleetGpu = Static<typeof FleetGpu>

/** A reading of one node, as the streams send it. */
export const NodeStats = Type.Object({
  id: Type.String(),
  number: Type.Integer(),
  name: Type.String(),
  at: Nullable(Time),
  status: NodeStatus,
  cpuPercent: Nullable(Type.Number()),
  memoryPercent: Nullable(Type.Number()),
  memoryUsedMiB: Nullable(Type.Integer()),
  memoryTotalMiB: Nullable(Type.Integer()),
  diskPercent: Nullable(Type.Number()),
  load1: Nullable(Type.Number()),
  uptimeSeconds: Nullable(Type.Number()),
  networkRxBytes: Nullable(Type.Number()),
  networkTxBytes: Nullable(Type.Number()),
  hostname: Type.String(),
  activeBackups: Nullable(Type.Integer()),
  gpus: Type.Array(
    Type.Object({
      index: Type.Integer(),
      uuid: Type.String(),
      model: Type.String(),
      utilizationPercent: Nullable(Type.Number()),
      memoryUsedMiB: Nullable(Type.Integer()),
      memoryMiB: Nullable(Type.Integer()),
      temperatureC: Nullable(Type.Number()),
      powerW: Nullable(Type.Number()),
      simulated: Type.Boolean(),
    }),
  ),
})
export type NodeStats = Static<typeof NodeStats>

/** Who asks to join. The body is at most 4 KiB. */
export const JoinRequest = Type.Object({
  hostname: Type.String({
    pattern: '^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$',
    maxLength: 253,
    description: 'a host name: letters, digits, dots and dashes; at most 253',
  }),
  claimedAddress: Type.Optional(Type.String({maxLength: 45})),
  fingerprint: Type.Optional(Type.String({maxLength: 64})),
  agentVersion: Type.Optional(Type.String({maxLength: 64})),
  os: Type.Optional(Type.String({maxLength: 1024})),
  gpuSummary: Type.Optional(Type.String({maxLength: 256, description: 'as "2 × RTX 4090 (simulated)"'})),
  joinToken: Type.Optional(Type.String({maxLength: 128})),
  labels: Type.Optional(Labels),
})
export type JoinRequest = Static<typeof JoinRequest>

export const JoinReply = Type.Object({
  requestId: Type.String(),
  number: Type.Integer(),
  code: RegistrationCode,
  /** 32 random bytes, base64url: only who shows it gets the node key (security.md 3.1). */
  pollSecret: Type.String(),
  expiresAt: Time,
  pollAfterMs: Type.Integer(),
})
export type JoinReply = Static<typeof JoinReply>

export const JoinStatus = Type.Object({
  status: Type.Enum(['pending', 'active']),
  nodeId: Nullable(Type.String()),
  name: Nullable(Type.String()),
  /** Once, and only with the poll secret. */
  nodeKey: Nullable(Type.String()),
  serverId: Nullable(Type.String()),
})
export type JoinStatus = Static<typeof JoinStatus>

/** Load and identity of a node at one moment; also what a node without a link posts. */
export const Beat = Type.Object({
  /** New at each start of the agent; together with `sequence` it orders beats (security T5). */
  bootId: Type.String({maxLength: 64}),
  sequence: Type.Integer({minimum: 0}),
  cpuPercent: Type.Optional(Nullable(Type.Number({minimum: 0, maximum: 100}))),
  memoryTotalMiB: Type.Optional(Nullable(Type.Integer({minimum: 0}))),
  memoryUsedMiB: Type.Optional(Nullable(Type.Integer({minimum: 0}))),
  diskPercent: Type.Optional(Nullable(Type.Number({minimum: 0, maximum: 100}))),
  load1: Type.Optional(Nullable(Type.Number({minimum: 0}))),
  uptimeSeconds: Type.Optional(Nullable(Type.Number({minimum: 0}))),
  networkRxBytes: Type.Optional(Nullable(Type.Number({minimum: 0}))),
  networkTxBytes: Type.Optional(Nullable(Type.Number({minimum: 0}))),
  activeBackups: Type.Optional(Nullable(Type.Integer({minimum: 0}))),
  gpuState: Type.Optional(Type.Enum(['ok', 'lost', 'none'])),
  gpuReason: Type.Optional(Type.String({maxLength: 512})),
  gpus: Type.Optional(Type.Array(Gpu, {maxItems: 1024})),
  runtimeState: Type.Optional(Type.Enum(['ok', 'degraded', 'unknown'])),
  runtimeReason: Type.Optional(Type.String({maxLength: 512})),
})
export type Beat = Static<typeof Beat>

/**
 * A node as its agent measures it, in the words of document 004's node agent (`GET /api/v1/metrics`). Percentages 0–100,
 * memory in MiB, uptime in seconds, load of the last minute; what is not known is 0, because that wire has no other word.
 */
export const AgentMetrics = Type.Object({
  node_id: Type.String(),
  cpu_usage_percent: Type.Number(),
  memory_usage_percent: Type.Number(),
  gpus: Type.Array(
    Type.Object({
      id: Type.Integer({description: 'index on the node'}),
      temperature_c: Type.Number(),
      memory_total_mb: Type.Number(),
      memory_used_mb: Type.Number(),
      name: Type.String(),
      uuid: Type.String(),
      /** More than 10 % of memory or of time in use, or given to a claim. */
      busy: Type.Boolean(),
      usage_percent: Type.Number(),
    }),
  ),
  system: Type.Object({
    cpu_usage_percent: Type.Number(),
    memory_usage_percent: Type.Number(),
    memory_total_mb: Type.Number(),
    memory_used_mb: Type.Number(),
    disk_usage_percent: Type.Number(),
    load_average: Type.Number(),
    uptime: Type.Number(),
  }),
})
export type AgentMetrics = Static<typeof AgentMetrics>

const Check = Type.String({pattern: '^[A-Za-z][A-Za-z ]{0,31}$', description: 'what was looked at, in a word or two'})

/** What the agent of a node found at one place of its machine. */
export const NodeFinding = Type.Object({
  check: Check,
  level: Type.Enum(['ok', 'warn', 'error']),
  message: Type.String(),
  fix: Type.String({description: 'what to do; empty where nothing is to be done'}),
  canMend: Type.Boolean({description: 'the agent can do that itself, and nothing is lost by it'}),
})
export type NodeFinding = Static<typeof NodeFinding>

export const nodes = {
  'nodes.join': operation({
    summary: 'Ask to join the fleet; answers the code that an administrator types.',
    access: 'public',
    status: 201,
    input: JoinRequest,
    output: JoinReply,
  }),
  'nodes.joinStatus': operation({
    summary: 'Poll a join request; with header X-Join-Secret it delivers the node key once.',
    access: 'public',
    input: Type.Object({code: Type.String({maxLength: 16})}),
    output: JoinStatus,
  }),
  'nodes.beat': operation({summary: 'Report load and health.', access: 'node', input: Beat, output: Done}),
  'nodes.list': operation({
    summary: 'List nodes; super administrators see pending ones with their codes.',
    access: 'viewer',
    input: Type.Object({
      status: Type.Optional(NodeStatus),
      pending: Type.Optional(Type.Boolean()),
      listed: Type.Optional(Type.Boolean()),
      name: Type.Optional(Type.String({description: 'part of the name'})),
    }),
    output: Type.Array(Node),
  }),
  'nodes.get': operation({summary: 'One node.', access: 'viewer', input: ById, output: Node}),
  'nodes.metrics': operation({
    summary: 'What the agent of a node measures now, as it says it.',
    access: 'viewer',
    input: ById,
    output: AgentMetrics,
  }),
  'nodes.approve': operation({
    summary: 'Admit a waiting node by its code, id or name.',
    access: 'super_admin',
    input: Type.Object({
      node: Reference,
      /** Refuse when another host is behind the code. */
      expectHost: Type.Optional(Type.String()),
      labels: Type.Optional(Labels),
      /** What its sites may use together; 0 unless given. */
      storageQuotaGb: Type.Optional(gigabytes),
    }),
    output: Node,
  }),
  'nodes.reject': operation({
    summary: 'Refuse a waiting node; its code is dead at once.',
    access: 'super_admin',
    input: Type.Object({
      node: Reference,
      reason: Type.Optional(Type.String({maxLength: 256})),
      blockAddressSeconds: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 365 * 86_400,
          description: 'so long nothing may ask to join from its address, but with a join token',
        }),
      ),
    }),
    output: Done,
  }),
  'nodes.add': operation({
    summary: 'Add a machine whose Docker the server reaches itself, over mutual TLS.',
    access: 'super_admin',
    status: 201,
    input: NodeAddition,
    output: Node,
  }),
  'nodes.update': operation({
    summary: 'Change what is said of a node; absent members and starred secrets stay as they are.',
    access: 'super_admin',
    input: NodeChange,
    output: Node,
  }),
  'nodes.test': operation({
    summary: 'Ask the Docker Engine of a node whether it answers (10 s at most).',
    access: 'node_admin',
    input: ById,
    output: EngineTest,
  }),
  'nodes.upgrade': operation({
    summary: 'Give agents the program of this server: canaries first, then in waves, up to the first failure.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({
      nodes: Type.Optional(Type.Array(Reference, {minItems: 1, maxItems: 1_000})),
      all: Type.Optional(Type.Boolean({description: 'every admitted node, in place of nodes'})),
      canary: Type.Optional(
        Type.Integer({minimum: 0, maximum: 100, description: 'nodes of the first wave; 1 unless given'}),
      ),
      maxUnavailable: Type.Optional(
        Type.String({
          pattern: '^([1-9]\\d{0,3}|([1-9]\\d?|100)%)$',
          description: 'nodes at once behind them, as 3 or 10%, which is what holds unless given; at least one',
        }),
      ),
      /** Tell the waves, change nothing. */
      dryRun: Type.Optional(Type.Boolean()),
    }),
    output: Type.Object({
      /** Null at a dry run, and where nothing is to be done. */
      task: Nullable(Task),
      version: Type.String({description: 'that the agents get'}),
      waves: Type.Array(Type.Array(Type.String({description: 'name of a node'}))),
      skipped: Type.Array(
        Type.Object({
          node: Type.String(),
          reason: Type.String(),
          isCurrent: Type.Boolean({description: 'it runs that version, or a newer one'}),
        }),
      ),
    }),
  }),
  'nodes.examine': operation({
    summary: 'What the agent of a node finds when it looks at its machine now (60 s at most).',
    access: 'node_admin',
    input: ById,
    output: Type.Array(NodeFinding),
  }),
  'nodes.repair': operation({
    summary: 'Let the agent of a node mend what it found and can mend without losing anything.',
    access: 'node_admin',
    status: 202,
    input: Type.Object({
      id: Reference,
      checks: Type.Array(Check, {
        minItems: 1,
        maxItems: 16,
        uniqueItems: true,
        description: 'as nodes.examine names them',
      }),
    }),
    output: Type.Object({task: Task}),
  }),
  'nodes.cordon': operation({
    summary: 'Give the node no new work.',
    access: 'node_admin',
    input: Type.Object({id: Reference, reason: Type.Optional(Type.String({maxLength: 256}))}),
    output: Node,
  }),
  'nodes.drain': operation({
    summary:
      'Give the node no new work, and its work away: what can run elsewhere goes back to the queue, the rest may finish.',
    access: 'node_admin',
    input: Type.Object({
      id: Reference,
      reason: Type.Optional(Type.String({maxLength: 256})),
      /** What finishes by itself has so long; absent: as long as it takes, or with force nothing. */
      deadlineSeconds: Type.Optional(Type.Integer({minimum: 1, maximum: 30 * 86_400})),
      force: Type.Optional(
        Type.Boolean({description: 'end what cannot go elsewhere and has not ended by the deadline'}),
      ),
      /** Tell what would become of its work, change nothing. */
      dryRun: Type.Optional(Type.Boolean()),
    }),
    output: Type.Object({node: Node, work: Type.Array(DrainedWork)}),
  }),
  'nodes.uncordon': operation({summary: 'Give the node work again.', access: 'node_admin', input: ById, output: Node}),
  'nodes.block': operation({
    summary: 'Keep a node out: its key opens nothing, its host name cannot join, until it is approved again.',
    access: 'super_admin',
    input: Type.Object({id: Reference, reason: Type.Optional(Type.String({maxLength: 256}))}),
    output: Node,
  }),
  'nodes.delete': operation({
    summary: 'Forget a node and revoke its key; while it has work only with confirm = its name.',
    access: 'super_admin',
    input: Type.Object({id: Reference, confirm: Type.Optional(Type.String())}),
    output: Done,
  }),
  'nodes.statsOfAll': operation({
    summary: 'Readings of all nodes, one snapshot an interval.',
    access: 'viewer',
    transport: 'events',
    input: Type.Object({interval: Type.Optional(Type.Integer({minimum: 1, maximum: 60}))}),
    output: Type.Object({at: Time, nodes: Type.Array(NodeStats)}),
  }),
  'nodes.stats': operation({
    summary: 'Readings of one node.',
    access: 'viewer',
    transport: 'events',
    input: Type.Object({id: Reference, interval: Type.Optional(Type.Integer({minimum: 1, maximum: 60}))}),
    output: NodeStats,
  }),
  'gpus.list': operation({
    summary: 'Every GPU of the fleet with its holder.',
    access: 'viewer',
    input: Type.Object({free: Type.Optional(Type.Boolean()), model: Type.Optional(Type.String())}),
    output: Type.Array(FleetGpu),
  }),
  'gpus.disable': operation({
    summary: 'Give the GPU no new work; what runs on it goes on.',
    access: 'node_admin',
    input: Type.Object({id: GpuReference, reason: Type.Optional(Type.String({maxLength: 256}))}),
    output: FleetGpu,
  }),
  'gpus.enable': operation({
    summary: 'Give the GPU work again.',
    access: 'node_admin',
    input: Type.Object({id: GpuReference}),
    output: FleetGpu,
  }),
}
