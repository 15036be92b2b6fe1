import type {
  AgentProgram,
  Desired,
  ExecQuery,
  FoundSnapshot,
  ImagePull,
  ProgramPart,
  PushedSnapshot,
  SnapshotName,
} from '../contract/agent-protocol.ts'
import type {ApiToken, JoinToken, User} from '../contract/schemas/auth.ts'
import type {Image, Spec} from '../contract/schemas/catalogue.ts'
import type {Claim, ClaimPhase} from '../contract/schemas/claims.ts'
import type {Instance, PathStat} from '../contract/schemas/instances.ts'
import type {SshKey} from '../contract/schemas/keys.ts'
import type {AgentMetrics, Beat, NodeFinding} from '../contract/schemas/nodes.ts'
import type {Event} from '../contract/schemas/server.ts'
import type {Task, TaskLogLine} from '../contract/schemas/tasks.ts'
import type {
  BackupPart,
  FoundOsImage,
  OsImagePart,
  StorageInput,
  StorageMethod,
  StorageOutput,
} from '../contract/storage-protocol.ts'
import type {Offer} from './placement.ts'
import type {
  Allocation,
  BackupRecord,
  BackupTargetRecord,
  InstanceSnapshotRecord,
  MountRecord,
  NodeRecord,
  PoolRecord,
  SiteRecord,
  TaskRecord,
} from './records.ts'
import type {RuntimeRecord, RuntimeState} from './runtimes.ts'

/** Time as the domain sees it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
}

/** What the server's own machine shows of itself; null is unknown. */
export interface MachineReading {
  hostname: string
  cpuPercent: number | null
  memoryPercent: number | null
  diskPercent: number | null
  uptimeSeconds: number | null
  networkRxBytes: number | null
  networkTxBytes: number | null
}

/** Rows get their `number` from the store; everything else is the domain's. */
export type New<T> = Omit<T, 'number'>

export interface UserRecord extends User {
  passwordHash: string
  /** Part of every login token: raising it ends them all at once (security T7). */
  tokenVersion: number
}

export interface TokenRecord extends ApiToken {
  ownerId: string
  secretHash: string
}

export interface JoinTokenRecord extends JoinToken {
  secretHash: string
}

export interface SshKeyRecord extends SshKey {
  ownerId: string
  /** The key itself, as after its type in a .pub file. */
  base64: string
}

/** One privileged or changing call. Written in the transaction of its effect. */
export interface AuditEntry {
  at: string
  actor: string
  action: string
  object: string
  requestId: string
  details: Record<string, unknown>
}

/** As the store keeps it: counted without a gap. */
export interface KeptEntry extends AuditEntry {
  number: number
}

export interface UserTable {
  insert(user: New<UserRecord>): Promise<UserRecord>
  save(user: UserRecord): Promise<void>
  find(id: string): Promise<UserRecord | undefined>
  findByName(username: string): Promise<UserRecord | undefined>
  /** As find, and on a store with many writers the row stays locked until the transaction ends. */
  lock(id: string): Promise<UserRecord | undefined>
  /** As lock, but others may hold it in this way at the same time: nobody changes or deletes the user meanwhile. */
  share(id: string): Promise<UserRecord | undefined>
  list(): Promise<UserRecord[]>
  delete(id: string): Promise<void>
}

export interface TokenTable {
  insert(token: New<TokenRecord>): Promise<TokenRecord>
  find(id: string): Promise<TokenRecord | undefined>
  findBySecretHash(secretHash: string): Promise<TokenRecord | undefined>
  listOf(ownerId: string): Promise<TokenRecord[]>
  touch(id: string, lastUsedAt: string): Promise<void>
  delete(id: string): Promise<void>
}

export interface SshKeyTable {
  /** Throws name_taken: of one user, names and keys are unique. */
  insert(key: New<SshKeyRecord>): Promise<SshKeyRecord>
  find(id: string): Promise<SshKeyRecord | undefined>
  findByFingerprint(ownerId: string, fingerprint: string): Promise<SshKeyRecord | undefined>
  listOf(ownerId: string): Promise<SshKeyRecord[]>
  delete(id: string): Promise<void>
}

export interface JoinTokenTable {
  insert(token: New<JoinTokenRecord>): Promise<JoinTokenRecord>
  find(id: string): Promise<JoinTokenRecord | undefined>
  list(): Promise<JoinTokenRecord[]>
  /** Takes one use if one is left and it has not expired at `now`; undefined otherwise. Atomic. */
  use(secretHash: string, now: string): Promise<JoinTokenRecord | undefined>
  delete(id: string): Promise<void>
}

export interface NodeTable {
  insert(node: New<NodeRecord>): Promise<NodeRecord>
  /** Replaces the row if its version is still that of `node`; the stored one is one higher. Throws changed_meanwhile. */
  save(node: NodeRecord): Promise<NodeRecord>
  find(id: string): Promise<NodeRecord | undefined>
  findByNumber(number: number): Promise<NodeRecord | undefined>
  findByCode(code: string): Promise<NodeRecord | undefined>
  findByKeyHash(keyHash: string): Promise<NodeRecord | undefined>
  /** The active node of that name. */
  findActiveByName(name: string): Promise<NodeRecord | undefined>
  list(filter?: {admission?: NodeRecord['admission']}): Promise<NodeRecord[]>
  /** Pending ones whose code ended before `now`. */
  listExpired(now: string): Promise<NodeRecord[]>
  delete(id: string): Promise<void>
  /** Beats and inventories of many nodes in one go; written behind, without version (performance M1: never one commit per beat). */
  saveBeats(beats: {nodeId: string; at: string; beat: Beat}[]): Promise<void>
  /** Last beat that was written of each node, at start-up. */
  listBeats(): Promise<{nodeId: string; at: string; beat: Beat}[]>
}

export interface RuntimeTable {
  /** Throws name_taken when the endpoint is known already. */
  insert(runtime: New<RuntimeRecord>): Promise<RuntimeRecord>
  /** Replaces the row if its version is still that of `runtime`; throws changed_meanwhile otherwise. */
  save(runtime: RuntimeRecord): Promise<RuntimeRecord>
  find(id: string): Promise<RuntimeRecord | undefined>
  findByEndpoint(address: string, port: number): Promise<RuntimeRecord | undefined>
  findByTokenHash(tokenHash: string): Promise<RuntimeRecord | undefined>
  /** In the order of their first registration. */
  list(): Promise<RuntimeRecord[]>
  listOfNode(nodeId: string): Promise<RuntimeRecord[]>
  delete(id: string): Promise<void>
  /** Written behind, without version; those of deleted runtimes are left out. */
  saveStates(states: readonly {runtimeId: string; state: RuntimeState}[]): Promise<void>
  /** At start-up. */
  listStates(): Promise<{runtimeId: string; state: RuntimeState}[]>
}

/** The server's own calls to inference runtimes, at addresses that came from outside (wire.md 1.3, security T6). */
export interface RuntimeProbe {
  /**
   * Throws input_invalid (an address that this caller may not name), too_many, too_busy, and runtime_unreachable, which
   * says the same whatever was wrong there.
   */
  probe(endpoint: {address: string; port: number}, callerAddress: string): Promise<ProbedRuntime>
  /** So many last lines of the runtime's own log, in whatever JSON it tells them. Throws runtime_unreachable. */
  readLogs(endpoint: {address: string; port: number}, tail: number): Promise<unknown>
}

export interface ProbedRuntime {
  /** In its one spelling. */
  address: string
  models: string[]
  initializing: boolean
  ready: {ready: number; total: number}
}

export interface ClaimFilter {
  ownerId?: string
  phases?: readonly ClaimPhase[]
  name?: string
  limit?: number
  offset?: number
}

/** What the queue needs of a pending claim; light, because there may be 100,000. */
export interface QueuedClaim {
  id: string
  number: number
  ownerId: string
  createdAt: string
  spec: Claim['spec']
}

export interface ClaimTable {
  insert(claim: New<Claim>): Promise<Claim>
  /** Replaces the row if its version is still that of `claim`; throws changed_meanwhile otherwise. Returns it with the next version. */
  save(claim: Claim): Promise<Claim>
  /** As save, and its spec too, which that leaves as it was inserted. */
  saveSpec(claim: Claim): Promise<Claim>
  find(id: string): Promise<Claim | undefined>
  findByNumber(number: number): Promise<Claim | undefined>
  /** Newest first. */
  list(filter: ClaimFilter): Promise<Claim[]>
  /** By beginning of the id, at most `limit`. */
  findByPrefix(prefix: string, ownerId: string | undefined, limit: number): Promise<Claim[]>
  /** Live (Pending, Scheduled, Running) claim of that name and owner. */
  findLiveByName(ownerId: string, name: string): Promise<Claim | undefined>
  /** All Pending ones, priority first (high to low), then age; or at most `limit` of those behind `after`. */
  pending(page?: {after?: Pick<QueuedClaim, 'number' | 'spec'>; limit: number}): Promise<QueuedClaim[]>
  /** GPUs of all live claims of the user (rule 6). */
  gpusHeldBy(ownerId: string): Promise<number>
  countByPhase(): Promise<Partial<Record<ClaimPhase, number>>>
}

export interface InstanceFilter {
  ownerId?: string
  nodeId?: string
  statuses?: readonly Instance['status'][]
  /** Only those whose claim is live, or only others. */
  live?: boolean
  /** Only those that their owner has deleted, or only others. */
  deleted?: boolean
  name?: string
  /** Part of the name, in whatever case. */
  namePart?: string
  limit?: number
  offset?: number
}

export interface InstanceTable {
  insert(instance: New<Instance>): Promise<Instance>
  save(instance: Instance): Promise<Instance>
  /** As save, and its name too, which that leaves as it was inserted. */
  saveName(instance: Instance): Promise<Instance>
  find(id: string): Promise<Instance | undefined>
  /** As find, and on a store with many writers the row stays locked until the transaction ends. */
  lock(id: string): Promise<Instance | undefined>
  findByNumber(number: number): Promise<Instance | undefined>
  findByClaim(claimId: string): Promise<Instance | undefined>
  findByPrefix(prefix: string, ownerId: string | undefined, limit: number): Promise<Instance[]>
  /** Newest first. */
  list(filter: InstanceFilter): Promise<Instance[]>
  count(filter: InstanceFilter): Promise<number>
}

/** Named volumes of claims, by the node that has them: they outlive containers and bindings. */
export interface VolumeTable {
  /** It is there, or will be; again is no error. */
  note(volume: {name: string; nodeId: string; claimId: string}): Promise<void>
  /** Those of the claim have to go; answers the nodes that have one. */
  letGo(claimId: string): Promise<string[]>
  /** Names of those that the node has to remove. */
  going(nodeId: string): Promise<string[]>
  /** The node has removed it. */
  forget(nodeId: string, name: string): Promise<void>
  forgetNode(nodeId: string): Promise<void>
}

/** What instances were, kept on their nodes. Those that have to go are not seen any more. */
export interface InstanceSnapshotTable {
  /** Throws name_taken: names are unique in an instance. */
  insert(snapshot: New<InstanceSnapshotRecord>): Promise<InstanceSnapshotRecord>
  save(snapshot: InstanceSnapshotRecord): Promise<void>
  find(id: string): Promise<InstanceSnapshotRecord | undefined>
  /** The oldest first. */
  list(instanceId: string): Promise<InstanceSnapshotRecord[]>
  /** This one has to go, or all of the instance; answers the nodes that have one. */
  letGo(instanceId: string, id?: string): Promise<string[]>
  /** Those that the node has to remove. */
  going(nodeId: string): Promise<SnapshotName[]>
  /** The node has removed it. */
  forget(nodeId: string, id: string): Promise<void>
  forgetNode(nodeId: string): Promise<void>
}

/**
 * GPUs of a node, or parts of them, bound to a claim, with an epoch. One row for each held GPU makes double booking
 * impossible in the database itself, and its check that more of one is sold than there is.
 */
export interface AllocationTable {
  /** Throws GpuTaken when one of its GPUs is held by a live allocation, or has too little left for its part. */
  bind(allocation: New<Allocation>): Promise<Allocation>
  find(id: string): Promise<Allocation | undefined>
  /** Live one of the claim. */
  findByClaim(claimId: string): Promise<Allocation | undefined>
  listLive(nodeId?: string): Promise<Allocation[]>
  /** Other limits for what it holds; of one that is over nothing changes. */
  resize(id: string, limits: Pick<Allocation, 'cpus' | 'memoryMiB'>): Promise<void>
  /** Frees its GPUs; again is no error. */
  release(id: string, at: string): Promise<void>
  /** What is held now, for the account of it. */
  held(): Promise<HeldTime[]>
  /** What was given back since then, oldest end first, from behind `after`. */
  heldBefore(page: {since: string; after?: HeldTime; limit: number}): Promise<HeldTime[]>
}

/** That a claim held cards of a node for a time. */
export interface HeldTime {
  number: number
  claimId: string
  ownerId: string
  /** User name. */
  owner: string
  nodeId: string
  /** Name of the spec that it came from, or ''. */
  spec: string
  pricePerHour: number
  /** Whole cards; a part counts as the part of its memory. */
  cards: number
  from: string
  /** null: until now. */
  to: string | null
}

/** Two bindings wanted one GPU; the second one lost. The caller tries another place. */
export class GpuTaken extends Error {
  constructor(
    readonly nodeId: string,
    options?: ErrorOptions,
  ) {
    super(`A GPU of node ${nodeId} is already taken.`, options)
    this.name = 'GpuTaken'
  }
}

export interface CatalogueTable<T> {
  /** Throws name_taken. */
  insert(entry: New<T>): Promise<T>
  save(entry: T): Promise<void>
  find(id: string): Promise<T | undefined>
  findByNumber(number: number): Promise<T | undefined>
  findByName(name: string): Promise<T | undefined>
  list(): Promise<T[]>
  delete(id: string): Promise<void>
}

/** Which node_admin administers which nodes. */
export interface NodeAdminTable {
  nodesOf(userId: string): Promise<string[]>
  /** Again is no error, and neither is taking away what was not given. */
  assign(userId: string, nodeId: string): Promise<void>
  unassign(userId: string, nodeId: string): Promise<void>
}

export interface SiteTable {
  /** Throws name_taken: names are unique on a node. */
  insert(site: New<SiteRecord>): Promise<SiteRecord>
  /** Replaces the row if its version is still that of `site`; throws changed_meanwhile. */
  save(site: SiteRecord): Promise<SiteRecord>
  find(id: string): Promise<SiteRecord | undefined>
  findByNumber(number: number): Promise<SiteRecord | undefined>
  findByName(nodeId: string, name: string): Promise<SiteRecord | undefined>
  /** As find, and until the transaction ends nobody changes or deletes it. */
  share(id: string): Promise<SiteRecord | undefined>
  /** In the order in which they were made; of these nodes, and of this owner too wherever they are; or of all. */
  list(filter: {nodeIds?: readonly string[]; ownerId?: string; limit?: number; offset?: number}): Promise<SiteRecord[]>
  /** Those whose schedule wants a snapshot by now, the longest due first. */
  due(now: string, limit: number): Promise<SiteRecord[]>
  /** Claims that mount it and have not ended, or whose instance still has its place on the node. */
  mountedBy(id: string): Promise<{claimId: string; claim: string}[]>
  /** Of a claim that was just inserted. */
  noteMount(id: string, claimId: string): Promise<void>
  /** Sums by node; a node without sites is absent. */
  totals(): Promise<Map<string, {sites: number; usedBytes: number; quotaBytes: number}>>
  delete(id: string): Promise<void>
}

/** What somebody sees: what is on nodes that he administers, and what is his own. */
export interface Reach {
  nodeIds: readonly string[]
  ownerId: string
}

export interface BackupFilter {
  /** Absent: all. */
  seenBy?: Reach | undefined
  nodeIds?: readonly string[] | undefined
  siteIds?: readonly string[] | undefined
}

export interface BackupTable {
  /** Throws name_taken: file names are unique in a site. */
  insert(backup: New<BackupRecord>): Promise<BackupRecord>
  save(backup: BackupRecord): Promise<void>
  find(id: string): Promise<BackupRecord | undefined>
  findByNumber(number: number): Promise<BackupRecord | undefined>
  findByFilename(siteId: string, filename: string): Promise<BackupRecord | undefined>
  /** Newest first. */
  list(filter: BackupFilter & {limit?: number; offset?: number}): Promise<BackupRecord[]>
  count(filter: BackupFilter): Promise<number>
  delete(id: string): Promise<void>
}

export interface BackupTargetTable {
  /** Throws name_taken. */
  insert(target: New<BackupTargetRecord>): Promise<BackupTargetRecord>
  find(id: string): Promise<BackupTargetRecord | undefined>
  list(): Promise<BackupTargetRecord[]>
  delete(id: string): Promise<void>
}

/** Things that `apply` has made as part of a set of files. */
export interface ApplyMarkTable {
  insert(mark: {objectId: string; ownerId: string; set: string}): Promise<void>
  objectsOf(ownerId: string, set: string): Promise<string[]>
  /** Where there is none, nothing happens. */
  delete(objectId: string): Promise<void>
}

export interface EventFilter {
  kind?: Event['kind']
  object?: string
  after?: number
  limit?: number
}

export interface EventTable {
  append(event: Omit<Event, 'number'>): Promise<Event>
  /** Oldest first; without `after` the newest `limit` ones. */
  list(filter: EventFilter): Promise<Event[]>
  /** Keeps the newest `keep` events. */
  prune(keep: number): Promise<number>
}

/** A place in the chain of the audit: a row's number and its hash. */
export interface ChainLink {
  number: number
  hash: string
}

export interface AuditCheck {
  /** Rows that are as they were written. */
  checked: number
  /** The last of them: the next page goes on from here. */
  at: ChainLink
  /** The last row of all. */
  head: ChainLink
  isDone: boolean
  /** The first row at which something is wrong. */
  fault: {number: number; fault: 'edited' | 'replaced' | 'missing' | 'added'} | null
}

export interface AuditTable {
  /** Chains them to the last row. In a transaction this is the last thing that is done. */
  append(entries: readonly AuditEntry[]): Promise<void>
  /** Newest first. */
  list(limit: number): Promise<KeptEntry[]>
  /** Looks whether the rows behind `after` (all, unless given) are as they were written. */
  verify(page: {after?: ChainLink; limit: number}): Promise<AuditCheck>
  /** Removes up to `most` rows from the beginning that are older than `before`; what stays can still be verified. */
  prune(before: string, most: number): Promise<number>
}

export interface IdempotencyTable {
  find(ownerId: string, key: string): Promise<{bodyHash: string; resultId: string} | undefined>
  insert(row: {ownerId: string; key: string; bodyHash: string; resultId: string; at: string}): Promise<void>
  prune(before: string): Promise<number>
}

export interface SettingTable {
  get(name: string): Promise<string | undefined>
  set(name: string, value: string): Promise<void>
}

export interface TaskTable {
  /** Throws task_conflict when one of its locks is held by another task that is not over. */
  insert(task: New<TaskRecord>): Promise<TaskRecord>
  /** Replaces the row if its version is still that of `task`; gives its locks back when it is over. */
  save(task: TaskRecord): Promise<TaskRecord>
  find(id: string): Promise<TaskRecord | undefined>
  findByNumber(number: number): Promise<TaskRecord | undefined>
  findByPrefix(prefix: string, ownerId: string | undefined, limit: number): Promise<TaskRecord[]>
  /** Newest first. */
  list(filter: {
    ownerId?: string
    /** Of work on instances only this user's. */
    privateTo?: string
    status?: Task['status']
    type?: string
    limit?: number
    offset?: number
  }): Promise<TaskRecord[]>
  unfinished(): Promise<TaskRecord[]>
  log(taskId: string, line: TaskLogLine, keep: number): Promise<void>
  logs(taskId: string): Promise<TaskLogLine[]>
  /** Forgets what finished before. */
  prune(before: string): Promise<number>
}

/** Things that lie on a node. */
export interface PlacedTable<T> {
  /** Throws name_taken. */
  insert(record: New<T>): Promise<T>
  save(record: T): Promise<void>
  find(id: string): Promise<T | undefined>
  list(filter?: {nodeId?: string}): Promise<T[]>
  delete(id: string): Promise<void>
}

export interface Tables {
  users: UserTable
  tokens: TokenTable
  joinTokens: JoinTokenTable
  sshKeys: SshKeyTable
  nodes: NodeTable
  runtimes: RuntimeTable
  claims: ClaimTable
  instances: InstanceTable
  allocations: AllocationTable
  volumes: VolumeTable
  instanceSnapshots: InstanceSnapshotTable
  images: CatalogueTable<Image>
  specs: CatalogueTable<Spec>
  nodeAdmins: NodeAdminTable
  sites: SiteTable
  backups: BackupTable
  events: EventTable
  audit: AuditTable
  idempotency: IdempotencyTable
  settings: SettingTable
  tasks: TaskTable
  pools: PlacedTable<PoolRecord>
  mounts: PlacedTable<MountRecord>
  backupTargets: BackupTargetTable
  applyMarks: ApplyMarkTable
}

/** Differences between stores as facts, not as `if (sqlite)`. */
export interface StoreFacts {
  name: 'sqlite' | 'postgres'
  /** Two processes may write at once: "check, then insert" needs a lock. */
  manyWriters: boolean
}

/**
 * The server's memory that outlives it. Outside a transaction the tables show committed rows only; a promise that is
 * resolved means the change survives a crash. Throws store_full and store_unavailable.
 */
export interface Store extends Tables {
  readonly facts: StoreFacts
  /**
   * Runs the work in one transaction and resolves after its COMMIT; many transactions may share one commit. The work may
   * run again from the start after a conflict of writers, so it has no effect outside the store and awaits nothing else.
   */
  transaction<T>(work: (tx: Tables) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** Wakes a controller: the key's state may have changed. Events only wake; the state is read again. */
export type Wake = (controller: 'queue' | 'claim' | 'node' | 'drain' | 'task', key: string) => void

/** The agents' links as the domain sees them. */
export interface Fleet {
  connected(nodeId: string): boolean
  /** Throws node_offline. */
  agent(nodeId: string): AgentPort
}

export interface LogQuery {
  follow: boolean
  tail?: number
  sinceNs?: bigint
  untilNs?: bigint
  /** Only what came before the last start. */
  previous?: boolean
  timestamps: boolean
  stdout: boolean
  stderr: boolean
}

/** What the server asks of one agent over its link. Byte streams carry the frames of contract/frames.ts. */
export interface AgentPort {
  /** Its readings; `nodeId` comes back in the answer. Throws node_failed, node_offline. */
  metrics(nodeId: string): Promise<AgentMetrics>
  /** What the agent finds on its machine now. Throws node_failed, node_offline. */
  examine(): Promise<NodeFinding[]>
  /** Mends what is amiss there; nothing amiss is no error. Throws node_failed, node_offline. */
  repair(check: string, signal?: AbortSignal): Promise<void>
  /** What program the agent is. Throws node_failed, node_offline. */
  program(): Promise<AgentProgram>
  /** Resolves when the agent has unpacked it and is about to go over to it. Throws node_failed, node_offline. */
  sendProgram(part: ProgramPart, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>
  /** The new program may stay. Throws node_failed, node_offline. */
  confirmProgram(version: string): Promise<void>
  /** Tells what should run. The agent answers once it is stored; what comes of it arrives in reports. */
  setDesired(desired: Desired): Promise<void>
  logs(containerId: string, query: LogQuery, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  /** NDJSON of ContainerStats of runtime/driver.ts, one a second. */
  stats(containerId: string, signal: AbortSignal): Promise<AsyncIterable<Record<string, unknown>>>
  exec(containerId: string, request: ExecQuery): Promise<ExecStream>
  /** Fetches an image ahead; ends with the pull, which the signal breaks off. Throws node_failed, node_offline. */
  pullImage(image: string, signal: AbortSignal): Promise<AsyncIterable<ImagePull>>
  /** Null where there is none. Throws node_failed, node_offline, as the three below. */
  findSnapshot(name: SnapshotName): Promise<FoundSnapshot | null>
  /** Keeps the files of a container as they are; ends with the signal. */
  takeSnapshot(name: SnapshotName, containerId: string, signal: AbortSignal): Promise<FoundSnapshot>
  /** Sends one to the registry that `image` names, with the login of the node; ends with the signal. */
  pushSnapshot(name: SnapshotName, image: string, signal: AbortSignal): Promise<PushedSnapshot>
  /** Absent is no error. */
  removeSnapshot(name: SnapshotName): Promise<void>
  /** Works on the node's storage. Throws storage_*, node_failed, node_offline. */
  storage<M extends StorageMethod>(method: M, input: StorageInput<M>, signal?: AbortSignal): Promise<StorageOutput<M>>
  /** Writes a piece of a file of an operating system. Resolves when it is written. Throws storage_*, node_failed, node_offline. */
  receiveOsImage(part: OsImagePart, content: AsyncIterable<Uint8Array>): Promise<FoundOsImage>
  /** Bytes of a finished backup from an offset on. Throws storage_*, node_failed, node_offline. */
  readBackup(part: BackupPart, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  /** A connection to a port inside the container. Throws port_closed. */
  dial(containerId: string, port: number): Promise<ByteStream>
  /** What is at a path of the container, which need not run. Throws path_missing. */
  statPath(containerId: string, path: string): Promise<PathStat>
  /** A file or folder as tar; its first entry bears the last name of the path. Throws path_missing. */
  readArchive(containerId: string, path: string, signal: AbortSignal): Promise<Archive>
  /** Unpacks a tar into a folder that is there. Resolves when all is written. Throws path_missing, path_refused. */
  writeArchive(containerId: string, path: string, content: AsyncIterable<Uint8Array>): Promise<void>
}

/** The program of this server, for the agents of its nodes. */
export interface OwnProgram {
  version: string
  /** As Node calls it: `linux-x64`. */
  platform: string
  /** SHA-256 */
  checksum: string
  content: Uint8Array
}

/** Bytes both ways, as of a TCP connection. */
export interface ByteStream {
  /** Fails when the connection breaks; ends when the other side has no more to say. */
  output: AsyncIterable<Uint8Array>
  /** Resolves when there is room for more. Rejects when the stream has ended. */
  write(bytes: Uint8Array): Promise<void>
  /** No more input; the output goes on. */
  end(): void
  /** Ends both directions now. */
  close(): void
}

/** POSIX tar (pax), and what it was made of. */
export interface Archive {
  stat: PathStat
  content: AsyncIterable<Uint8Array>
}

/** Frames both ways: stdin and control in; stdout, stderr and control (the exit at the end) out. */
export interface ExecStream {
  output: AsyncIterable<Uint8Array>
  /** Resolves when the link has room again. */
  write(frame: Uint8Array): Promise<void>
  close(): void
}

/** The queue as the services see it. */
export interface QueueView {
  offers(): Offer[]
  /** 1 = next; null when the claim does not wait. */
  position(claimId: string): number | null
  /** How many waiting claims a new one would stand behind. */
  countAhead(claim: {number: number; createdAtMs: number; spec: Claim['spec']}): number
  /** Some node can hold it now. */
  fits(spec: Claim['spec']): boolean
  /** Another number whenever an offer is another one: what was made of the offers holds as long as it is the same. */
  revision(): number
  /** Some node could hold it if it were empty. */
  isPossible(spec: Claim['spec']): boolean
  /** The node that is kept for the oldest blocked claim. */
  reservation(): {claimId: string; nodeId: string} | undefined
  /** More than half of the fleet fell silent at once: nobody is given up until it is clear why (reliability F7). */
  isFrozen(): boolean
}
