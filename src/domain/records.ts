import type {Gpu} from '../contract/schemas/nodes.ts'

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
  docker: {address: string; ca: string; cert: string; sealedKey: string} | null
  /** GPUs that the operator declared for an agentless node, where the server cannot look. */
  declaredGpus: {model: string; count: number; memoryMiB: number | null} | null
  /** What the agent told at its last connect. */
  inventory: Inventory | null
}

export interface Inventory {
  runtime: 'docker' | 'process' | 'fake'
  runtimeVersion: string
  cpus: number
  memoryMiB: number
  os: string
  architecture: string
  agentVersion: string
  gpus: Gpu[]
  /** Images can be chosen; without it only `host`. */
  images: boolean
}

/** A node's GPUs bound to one claim. `gpuIndexes` may be empty: a claim for CPUs only. */
export interface Allocation {
  id: string
  number: number
  claimId: string
  instanceId: string
  nodeId: string
  epoch: number
  gpus: {index: number; uuid: string; model: string}[]
  cpus: number
  memoryMiB: number
  createdAt: string
  releasedAt: string | null
}

/** What one instance should be on its node. */
export interface DesiredInstance {
  allocationId: string
  instanceId: string
  claimId: string
  epoch: number
  /** `gpuctl-<claim id>-<epoch>` */
  containerName: string
  name: string
  owner: string
  image: string
  command?: string[]
  env: Record<string, string>
  labels: Record<string, string>
  gpus: {index: number; uuid: string}[]
  cpus?: number
  memoryMiB?: number
  /** `removed`: end it and take it away; `stopped` keeps the container. */
  state: 'running' | 'stopped' | 'removed'
  /** Grows with each start or restart that the owner asked for: a higher one starts the container again. */
  generation: number
  graceSeconds: number
}

/** All that a node should run. A container of this server that is not in it is a stray. */
export interface Desired {
  serverId: string
  nodeId: string
  /** Grows; an agent ignores an older one than it has stored. */
  revision: number
  instances: DesiredInstance[]
}

/** What an agent tells of one instance. */
export interface InstanceReport {
  allocationId: string
  instanceId: string
  claimId: string
  epoch: number
  generation: number
  state: 'pulling' | 'created' | 'running' | 'exited' | 'failed' | 'removed'
  containerId: string
  exitCode: number | null
  oomKilled: boolean
  startedAt: string
  finishedAt: string
  /** Why it failed: a code of runtime/driver.ts and the engine's words. */
  errorCode: string
  message: string
  /** Percent of a pull, null when unknown. */
  progress: number | null
  warnings: string[]
}

/** Messages that an agent sends over its report stream, one JSON object a line. */
export type Report =
  | {type: 'hello'; bootId: string; inventory: Inventory; desiredRevision: number}
  | {type: 'beat'; beat: import('../contract/schemas/nodes.ts').Beat}
  | {type: 'inventory'; inventory: Inventory}
  /** `complete`: these are all containers of ours on the node; what is not in it is not there. */
  | {type: 'instances'; complete: boolean; desiredRevision: number; instances: InstanceReport[]}
