import type {Duplex, Readable, Writable} from 'node:stream'
import type {FoundSnapshot, PushedSnapshot, SnapshotName} from '../contract/agent-protocol.ts'
import type {PathStat} from '../contract/schemas/instances.ts'

/** A GPU as a container needs it. */
export interface ContainerGpu {
  index: number
  uuid: string
  vendor: 'nvidia' | 'amd' | 'fake'
  devicePaths: string[]
  /** Only this part of the card (HAMi-core): memory in MiB, and percent of its time. */
  share?: {memoryMiB: number; percent: number}
}

/** All that makes a container. The name is deterministic, so that a repeated create finds the first one (reliability M7). */
export interface ContainerSpec {
  /** `gpuctl-<claim id>-<epoch>` */
  name: string
  image: string
  /** Absent: the image's own command, with a TTY and open stdin, so that a shell image stays up (rule 4). */
  command?: string[]
  env: Record<string, string>
  /** The labels of `labels.ts`, and the user's own under `gpuctl.user.`. */
  labels: Record<string, string>
  gpus: ContainerGpu[]
  /** Cores; absent = no limit. */
  cpus?: number
  memoryMiB?: number
  /** Limit of what the container itself writes, where the storage of the runtime can limit it. */
  systemDiskGiB?: number
  /** Folder of HAMi-core on the host, for GPUs with a share; bound read-only. */
  hamiCore?: string
  /** Named volumes: name → absolute path in the container. Made when they are not there. */
  volumes?: {name: string; path: string; readOnly?: boolean}[]
  /** Folders of the host that its operator shares, or that are volumes of its pools: absolute path → absolute path in the container. */
  folders?: {source: string; path: string; readOnly?: boolean}[]
  /** Absent: the image's own. */
  workingDir?: string
  /** Ports of the container that the host shows to others; hostPort 0 = the engine chooses. */
  ports?: {containerPort: number; hostPort: number; protocol: 'tcp' | 'udp'}[]
  /** Absent: never, because a control server decides. */
  restart?: 'unless-stopped'
}

export type ContainerLimits = Pick<ContainerSpec, 'cpus' | 'memoryMiB'>

export type ContainerState = 'created' | 'running' | 'exited'

/** A container of ours as the runtime shows it. Times are RFC 3339, '' when not yet. */
export interface FoundContainer {
  containerId: string
  name: string
  image: string
  labels: Record<string, string>
  state: ContainerState
  exitCode: number | null
  oomKilled: boolean
  createdAt: string
  startedAt: string
  finishedAt: string
  /** Of one that runs: when its run before this one ended; absent where the runtime does not keep it. */
  previousEndedAt?: string
  /** Shown by the host, as `8888/tcp` → `0.0.0.0:32768`; absent where the runtime has no network of its own. */
  ports?: Record<string, string>
}

export interface LogOptions {
  follow: boolean
  /** Last lines only; absent = all. */
  tail?: number
  /** Inclusive lower bound, nanoseconds since 1970. */
  sinceNs?: bigint
  /** Upper bound, nanoseconds since 1970. */
  untilNs?: bigint
  /** Each line begins with its RFC 3339 nanosecond time and a space. */
  timestamps: boolean
  stdout: boolean
  stderr: boolean
}

/** A piece of output: whole lines where the runtime gives them, else as it came. */
export interface LogChunk {
  stream: 'stdout' | 'stderr'
  data: Buffer
}

/** One reading of a container. Bytes and percentages; null is unknown. cpuPercent is of its own limit (0–100), cpuPercentRaw of one core (wire.md 3.5). */
export interface ContainerStats {
  at: string
  cpuPercent: number | null
  cpuPercentRaw: number | null
  memoryUsageBytes: number | null
  memoryLimitBytes: number | null
  memoryPercent: number | null
  networkRxBytes: number | null
  networkTxBytes: number | null
  blockReadBytes: number | null
  blockWriteBytes: number | null
  pids: number | null
}

export interface ExecSpec {
  command: string[]
  tty: boolean
  stdin: boolean
  env?: Record<string, string>
  user?: string
  workingDir?: string
  size?: {rows: number; columns: number}
}

/** A process in a container. With a TTY all output is on stdout. */
export interface ExecSession {
  stdin: Writable
  stdout: Readable
  stderr: Readable
  /** Ignores 0×0, which a client without a terminal sends. */
  resize(rows: number, columns: number): Promise<void>
  /** Exit code once the process ended and its output is read; 128 + signal number for a signal. */
  exited: Promise<number>
  /** To all that it started, as Ctrl-C at a terminal; what has ended is no error. */
  signal(name: ExecSignal): Promise<void>
  kill(): Promise<void>
}

export type ExecSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGQUIT' | 'SIGUSR1' | 'SIGUSR2'

export type RuntimeEvent = {containerId: string; kind: 'started' | 'exited' | 'removed' | 'changed'}

export interface RuntimeInfo {
  name: string
  version: string
  cpus: number
  memoryMiB: number
  os: string
  architecture: string
}

/**
 * Named facts instead of `if (docker)` in the core.
 * `images`: any image can be run; without it only the image `host`.
 */
export interface RuntimeFacts {
  images: boolean
  gpuVendors: readonly ('nvidia' | 'amd' | 'fake')[]
  enforcesMemory: boolean
  enforcesCpus: boolean
  /** Named volumes outlive their containers. */
  volumes: boolean
  /** GPUs can be given in parts (HAMi-core). */
  splitsGpus: boolean
}

/** Why a runtime call failed: the caller decides by `code` whether another node, a retry or nothing helps. */
export type RuntimeErrorCode =
  | 'unreachable' // no engine answers
  | 'timeout' // it accepted the call and did not answer in time
  | 'image_missing'
  | 'name_taken' // the name is held by a container that is not ours
  | 'gpu_unavailable'
  | 'invalid' // the engine refuses the request: another node would, too
  | 'no_container'
  | 'no_path'
  | 'path_refused' // what is there is of another kind, or lies outside
  | 'port_closed'
  | 'failed'

export class RuntimeError extends Error {
  constructor(
    readonly code: RuntimeErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'RuntimeError'
  }
}

/** An image that is made of a file. */
export interface TemplateImage {
  /** In lower case. */
  repository: string
  tag: string
}

/** Images that are made here of a packed root folder; each has a mark that says whose work it is. */
export interface RuntimeTemplates {
  import(file: string, image: TemplateImage & {mark: string}, signal?: AbortSignal): Promise<void>
  find(image: TemplateImage): Promise<{mark: string} | undefined>
  /** Absent is no error. */
  remove(image: TemplateImage): Promise<void>
}

export interface RuntimeSnapshots {
  /** Keeps the files of a container, without its volumes; it stands still meanwhile. One that is there is answered as it is. */
  create(containerId: string, name: SnapshotName): Promise<FoundSnapshot>
  find(name: SnapshotName): Promise<FoundSnapshot | undefined>
  /**
   * Sends its files to the registry of `image`, without our labels and without the environment that its container was
   * given. The host's login is used; nothing of it stays here. Ends with the signal.
   */
  push(name: SnapshotName, image: string, signal: AbortSignal): Promise<PushedSnapshot>
  /** Absent is no error; while a container is made of it, it fails. What a cut creation left standing still goes on. */
  remove(name: SnapshotName): Promise<void>
}

/**
 * A way to run containers on a host. Every method may be repeated after a crash; every call has a deadline
 * (ping 2 s, calls 10 s, create 60 s, pull 30 min without progress 2 min) and fails with RuntimeError.
 */
export interface RuntimeDriver {
  readonly name: 'docker' | 'process' | 'fake'
  readonly facts: RuntimeFacts
  /** Why the driver cannot run here, or undefined when it can. */
  unavailable(): Promise<string | undefined>
  ping(): Promise<void>
  info(): Promise<RuntimeInfo>
  /** All containers with our labels of this server, whatever their state. */
  list(): Promise<FoundContainer[]>
  inspect(containerId: string): Promise<FoundContainer | undefined>
  /** Makes the image present; nothing to do when it is. `onProgress` gets 0–100 or undefined when unknown; the signal ends it. */
  pull(image: string, onProgress?: (percent: number | undefined) => void, signal?: AbortSignal): Promise<void>
  /** Creates, without starting. A container of that name with the same labels is adopted; warnings say what could not be honoured. */
  create(spec: ContainerSpec): Promise<{containerId: string; warnings: string[]}>
  start(containerId: string): Promise<void>
  /** TERM, then KILL after the grace. A stopped or absent container is no error. */
  stop(containerId: string, graceSeconds: number): Promise<void>
  /** Other limits, at once and for good, also of one that runs; absent ones stay. Absent where the runtime holds nobody to any. */
  setLimits?(containerId: string, limits: ContainerLimits): Promise<void>
  /** Ends and removes it with its anonymous volumes; absent is no error. */
  remove(containerId: string): Promise<void>
  /** Removes a named volume of ours with all that is in it; absent, or not ours, is no error. Fails while a container has it. */
  removeVolume(name: string): Promise<void>
  logs(containerId: string, options: LogOptions, signal: AbortSignal): AsyncIterable<LogChunk>
  /** About one reading a second until the container ends or the signal fires. */
  stats(containerId: string, signal: AbortSignal): AsyncIterable<ContainerStats>
  exec(containerId: string, spec: ExecSpec): Promise<ExecSession>
  /** A connection to a TCP port of a running container, on whichever address inside it something listens. Half-open. */
  dial(containerId: string, port: number): Promise<Duplex>
  /** What is at a path; also in a container that does not run. No path leads out of the container. */
  statPath(containerId: string, path: string): Promise<PathStat>
  /** A file or folder as tar; its first entry bears the last name of the path. */
  readArchive(containerId: string, path: string, signal: AbortSignal): Promise<{stat: PathStat; content: Readable}>
  /** Unpacks a tar into a folder that is there, with owners and modes. Resolves when all is written. */
  writeArchive(containerId: string, path: string, content: Readable): Promise<void>
  /** Absent where no image can be made of a packed root folder. */
  readonly templates?: RuntimeTemplates
  /** Absent where the files of a container cannot be kept as an image. */
  readonly snapshots?: RuntimeSnapshots
  /** Changes of our containers as they happen; ends by throwing when the engine goes away. */
  watch(signal: AbortSignal): AsyncIterable<RuntimeEvent>
  close(): Promise<void>
}
