import type {Beat, Gpu} from './schemas/nodes.ts'
import type {FoundOsImage, VolumeName} from './storage-protocol.ts'

/**
 * What server and agent say to each other over the link (HTTP/2, the server is the client). Routes of the agent:
 * `PUT /desired` (Desired), `GET /reports` (NDJSON of Report, open for the life of the link), `GET /containers/:id/logs`
 * (frames; query follow, tail, sinceNs, untilNs, previous, timestamps, stdout, stderr), `GET /containers/:id/stats` (NDJSON),
 * `POST /containers/:id/exec` (headers x-gpuctl-exec = base64url JSON of ExecQuery; frames both ways), `GET /ping`,
 * `POST /containers/:id/dial` (query port; bytes both ways), `GET /containers/:id/path` (query path; PathStat),
 * `GET /containers/:id/archive` (query path; header x-gpuctl-stat = base64url JSON of PathStat; tar),
 * `POST /containers/:id/archive` (query path; tar in; when it is unpacked one JSON of UnpackEnd out).
 * `PUT /os-images/:name` (query offset, totalBytes, sha256; bytes in; when they are written one JSON of OsImageEnd out),
 * `POST /backup-content` (BackupPart of storage-protocol.ts; bytes out), `GET /metrics` (query node_id; AgentMetrics), `POST /storage/:method` (storage-protocol.ts),
 * `/instances/:instance/snapshots/:snapshot`: `GET` (FoundSnapshot or null), `PUT` (query container; FoundSnapshot), `DELETE`,
 * `POST …/push` (query image; PushedSnapshot; the push ends with the call),
 * `POST /image-pulls` (query image; NDJSON of ImagePull; the pull ends with the stream).
 * `GET /examination` (NodeFinding[]), `POST /repairs/:check` ({mended: how many}),
 * `GET /program` (AgentProgram), `PUT /program` (query: ProgramPart; .tar.gz in; ProgramEnd out, then the agent goes over to it),
 * `POST /program/confirmation` (query version; the new program is kept).
 */
export const agentRoutes = {
  setDesired: 'PUT /desired',
  reports: 'GET /reports',
  logs: 'GET /containers/:id/logs',
  stats: 'GET /containers/:id/stats',
  exec: 'POST /containers/:id/exec',
  dial: 'POST /containers/:id/dial',
  path: 'GET /containers/:id/path',
  archive: 'GET /containers/:id/archive',
  unpack: 'POST /containers/:id/archive',
  metrics: 'GET /metrics',
  storage: 'POST /storage/:method',
  osImage: 'PUT /os-images/:name',
  backupContent: 'POST /backup-content',
  imagePull: 'POST /image-pulls',
  examination: 'GET /examination',
  repair: 'POST /repairs/:check',
  findSnapshot: 'GET /instances/:instance/snapshots/:snapshot',
  takeSnapshot: 'PUT /instances/:instance/snapshots/:snapshot',
  pushSnapshot: 'POST /instances/:instance/snapshots/:snapshot/push',
  removeSnapshot: 'DELETE /instances/:instance/snapshots/:snapshot',
  program: 'GET /program',
  sendProgram: 'PUT /program',
  confirmProgram: 'POST /program/confirmation',
  ping: 'GET /ping',
} as const

/** Whose snapshot it is, and which one. Only containers of the same instance are ever made of it. */
export interface SnapshotName {
  instanceId: string
  snapshotId: string
}

/** What a container's files were, kept as an image of the runtime. */
export interface FoundSnapshot {
  imageId: string
  /** What it adds to the image that the container was made of. */
  sizeBytes: number
}

/** What a registry has now. */
export interface PushedSnapshot {
  /** Of the manifest, `sha256:…`. */
  digest: string
}

/** How unpacking ended; without an error all is written. */
export interface UnpackEnd {
  error?: {code: string; message: string}
}

/** How a piece of an upload ended. */
export interface OsImageEnd {
  image?: FoundOsImage
  error?: {code: string; message: string}
}

/** What an agent runs, as its server may replace it. */
export interface AgentProgram {
  version: string
  /** As Node calls it: `linux-x64`. */
  platform: string
  /** Version that the server has not confirmed yet. */
  trial: string | null
  /** The last one that was given up, and why. */
  failed: {version: string; attempt: string; reason: string} | null
}

/** A program for an agent: a .tar.gz of one folder `gpuctl`. */
export interface ProgramPart {
  version: string
  sha256: string
  sizeBytes: number
  /** Of whoever sends it, to know his own failure by. */
  attempt: string
}

/** How the arrival of a program ended. */
export interface ProgramEnd {
  error?: {code: string; message: string}
}

/** How far a pull is, in percent, null where that is unknown; the last one says how it ended. */
export type ImagePull = {percent: number | null} | {done: true} | {error: {code: string; message: string}}

export interface ExecQuery {
  command: string[]
  tty: boolean
  stdin: boolean
  env: Record<string, string>
  user?: string
  workingDir?: string
  rows?: number
  columns?: number
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

/** The agent finds the folder by itself: no path of the node's ever comes from outside. */
export interface MountedSite extends VolumeName {
  path: string
  readOnly: boolean
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
  /** With a share only that part of the card, by HAMi-core. */
  gpus: {index: number; uuid: string; share?: {memoryMiB: number; percent: number}}[]
  /** Folder of HAMi-core on the node, where there are shares. */
  hamiCore?: string
  cpus?: number
  memoryMiB?: number
  systemDiskGiB?: number
  /** Named volumes and where they are in the container. */
  volumes?: {name: string; path: string}[]
  /** Volumes of the node's own pools, and where they are in the container. */
  sites?: MountedSite[]
  /** `removed`: end it and take it away; `stopped` keeps the container. */
  state: 'running' | 'stopped' | 'removed'
  /** Made of this snapshot in place of its image. A container of a lower count is replaced, and stays if that fails. */
  restored?: {count: number; imageId: string}
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
  /** The server has given the node up: all that runs there in its name goes at once. */
  isLast?: true
  /** Names of volumes that are to go for good, told until the agent says that they are gone. */
  goingVolumes?: string[]
  /** Snapshots that are to go for good, told until the agent says that they are gone. */
  goingSnapshots?: SnapshotName[]
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
  /** Count of the restore that its container came of, once the one before is gone; 0: it is of the image. */
  restored?: number
  /** The last restore that failed, whose container before it stands. */
  refusedRestore?: {count: number; message: string}
  warnings: string[]
}

/** Messages that an agent sends over its report stream, one JSON object a line. */
export type Report =
  | {type: 'hello'; bootId: string; inventory: Inventory; desiredRevision: number}
  | {type: 'beat'; beat: Beat}
  | {type: 'inventory'; inventory: Inventory}
  | {type: 'volumes'; gone: string[]}
  | {type: 'snapshots'; gone: SnapshotName[]}
  /** `complete`: these are all containers of ours on the node; what is not in it is not there. */
  | {type: 'instances'; complete: boolean; desiredRevision: number; instances: InstanceReport[]}
