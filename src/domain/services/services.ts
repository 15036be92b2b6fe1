import type {Report} from '../../contract/agent-protocol.ts'
import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {OperationName} from '../../contract/routes.ts'
import type {User} from '../../contract/schemas/auth.ts'
import type {Instance, InstanceStats, LogEnd, LogEvent} from '../../contract/schemas/instances.ts'
import type {Model} from '../../contract/schemas/models.ts'
import type {Node, NodeStats} from '../../contract/schemas/nodes.ts'
import type {OsImage} from '../../contract/schemas/os-images.ts'
import type {Runtime} from '../../contract/schemas/runtimes.ts'
import type {Event} from '../../contract/schemas/server.ts'
import type {Task} from '../../contract/schemas/tasks.ts'
import type {Caller} from '../caller.ts'
import type {NodeSample} from '../node-history.ts'
import type {Archive, ByteStream, ExecStream, MachineReading, SshKeyRecord} from '../ports.ts'
import type {NodeRecord} from '../records.ts'
import type {RequestOutcome} from '../runtime-memory.ts'
import type {RuntimeBeat, RuntimeLoad} from '../runtimes.ts'
import type {OpenSession, SessionStart, SshDoor} from '../session.ts'
import type {ShellWish} from '../shell.ts'
import type {KeptNode} from './node-keeping.ts'

/** Operations that do not answer with one JSON body; their services have the shapes below. */
type Streamed =
  | 'nodes.statsOfAll'
  | 'nodes.stats'
  | 'instances.logs'
  | 'instances.followLogs'
  | 'instances.stats'
  | 'instances.exec'
  | 'ssh.tunnel'
  | 'instances.terminal'
  | 'instances.forward'
  | 'instances.archive'
  | 'instances.unpack'
  | 'events.stream'
  | 'tasks.follow'
  | 'osImages.upload'
  | 'backups.download'

/** Operations whose caller has no user account. */
type Anonymous =
  | 'auth.login'
  | 'auth.register'
  | 'auth.redeemLink'
  | 'nodes.join'
  | 'nodes.joinStatus'
  | 'nodes.beat'
  | 'sites.report'
  | 'backups.report'
  | 'server.version'

type MethodsOf<G extends string> = Extract<Exclude<OperationName, Streamed | Anonymous>, `${G}.${string}`>
type Short<N extends string> = N extends `${string}.${infer M}` ? M : never

/** One method per JSON operation: `services.nodes.approve(input, caller)`. */
type Methods<G extends string> = {
  [N in MethodsOf<G> as Short<N>]: (input: InputOf<N>, caller: Caller) => Promise<OutputOf<N>>
}

/** What a door to an instance asks for: SSH, the CLI, a web terminal. */
export interface ShellInput extends ShellWish {
  /** Id, number or name of the instance. */
  id: string
  /** True unless there is a command. */
  tty?: boolean
  /** 0 is unknown. */
  rows?: number
  columns?: number
  /** Of the terminal; `xterm-256color` unless given. */
  term?: string
  /** KEY=VALUE */
  env?: string[]
}

/** What is known of a caller without an account. */
export interface Peer {
  address: string
  requestId: string
}

export interface LoginOptions {
  /** How long the token lives, 12 h unless given (wire.md 6.1, item 8). */
  ttlSeconds?: number
  /** Calls of one address, right and wrong ones, beyond which they are refused. */
  callsPerMinute?: number
  /** What the caller read in a picture, or nothing but ''. Given by families that can show one: after three misses they must. */
  captcha?: {id: string; digits: string}
}

/** Who registers a runtime. */
export interface RegistrationCaller extends Peer {
  /** The call came from this machine itself. */
  isLocal: boolean
  /** A node key or a join token. */
  credential: string | undefined
}

export interface RuntimeRegistrationInput {
  machineName: string
  /** IP literal. */
  address: string
  port: number
  runtimeVersion: string
  gpuAvailable: boolean
  gpuDevices: Runtime['gpuDevices']
  gpuCount?: number
  gpuModel?: string
  supportedRuntimes: string[]
}

/** A runtime that may be asked now. */
export interface RuntimeTarget {
  id: string
  /** Of its API. Check the address again at every dial. */
  address: string
  apiPort: number
  /** What it can be asked for, without what is excluded. */
  models: readonly string[]
  load: RuntimeLoad | null
  /** The load is recent enough to be trusted. */
  isFresh: boolean
}

export interface InstancePage {
  /** Part of the name, in whatever case. */
  namePart?: string
  statuses?: readonly Instance['status'][]
  limit: number
  offset: number
}

export interface Services {
  auth: Methods<'auth'> & {
    /** Throws login_failed, account_disabled, captcha_wrong, too_many, too_busy. */
    login(input: InputOf<'auth.login'>, peer: Peer, options?: LoginOptions): Promise<OutputOf<'auth.login'>>
    /** A picture of digits for the next login, as a `data:` URL, and whether that login needs it. */
    captcha(peer: Peer): Promise<{id: string; picture: string; length: number; isNeeded: boolean}>
    /** A new login for one of `ttlSeconds` that has at most `leftSeconds` to live; undefined for all others. */
    renew(caller: Caller, rule: {ttlSeconds: number; leftSeconds: number}): Promise<OutputOf<'auth.login'> | undefined>
    register(input: InputOf<'auth.register'>, peer: Peer): Promise<OutputOf<'auth.register'>>
    /** A login for who shows a link of `browserLink` first. Throws link_invalid, token_invalid, too_many. */
    redeemLink(input: InputOf<'auth.redeemLink'>, peer: Peer): Promise<OutputOf<'auth.redeemLink'>>
    /** As login, for a door that keeps its connection instead of a token. Throws login_failed, too_many, too_busy. */
    passwordLogin(input: InputOf<'auth.login'>, peer: Peer): Promise<Caller>
    /** The key of an enabled user, by the blob of RFC 4253, 6.6. Knowing it is no login: who has it shows a signature. */
    findKey(username: string, blob: Uint8Array): Promise<SshKeyRecord | undefined>
    /** After its signature was checked. Throws login_failed. */
    keyLogin(username: string, blob: Uint8Array, peer: Peer): Promise<Caller>
    /** The caller behind a JWT or an API token; throws token_invalid, token_expired. */
    authenticate(credential: string, peer: Peer): Promise<Omit<Caller, 'requestId' | 'address' | 'idempotencyKey'>>
    /** Redeems a stream ticket for its path, once. */
    redeemTicket(ticket: string, path: string): Promise<Omit<Caller, 'requestId' | 'address' | 'idempotencyKey'>>
  }
  users: Methods<'users'> & {
    find(id: string): Promise<User | undefined>
    /** Number of each user that exists, by id: for wires that count their users. Whose they are, the caller already knows. */
    numbers(ids: Iterable<string>): Promise<ReadonlyMap<string, number>>
  }
  quotas: Methods<'quotas'>
  usage: Methods<'usage'>
  settings: Methods<'settings'>
  audit: Methods<'audit'>
  tokens: Methods<'tokens'>
  joinTokens: Methods<'joinTokens'>
  nodes: Methods<'nodes'> & {
    join(input: InputOf<'nodes.join'>, peer: Peer): Promise<OutputOf<'nodes.join'>>
    /** `legacy`: where the server's rule for it allows, the code alone fetches the key, once (security 3.1). */
    joinStatus(
      input: {code: string; pollSecret?: string; legacy?: boolean},
      peer: Peer,
    ): Promise<OutputOf<'nodes.joinStatus'>>
    /** Admission of the request of that number; never its key. Throws code_unknown. */
    requestStatus(number: number, peer: Peer): Promise<NodeRecord['admission']>
    /** As approve, but by the code alone; the address is what the machine is said to have. Throws code_malformed, code_unknown. */
    approveCode(input: {code: string; claimedAddress?: string}, caller: Caller): Promise<Node>
    /** As join, and the key comes at once: until the node is approved it is good for beats only. */
    register(input: InputOf<'nodes.join'>, peer: Peer): Promise<{id: string; number: number; nodeKey: string}>
    /** The node behind a node key; throws token_invalid, node_suspended. */
    authenticate(nodeKey: string): Promise<{id: string; name: string; isApproved: boolean}>
    beat(nodeId: string, beat: InputOf<'nodes.beat'>): Promise<void>
    /** Called by the owner of the links. */
    linkOpened(nodeId: string): Promise<void>
    linkClosed(nodeId: string, reason: string): Promise<void>
    report(nodeId: string, report: Report): Promise<void>
    /** Load that a node tells of without an agent's beat. */
    reportLoad(nodeId: string, load: Omit<NodeSample, 'atMs'>): Promise<void>
    /** The server's own machine at this moment, and which of the active nodes it is; undefined where nobody looks at it. */
    machine(): (MachineReading & {nodeId: string | undefined}) | undefined
    /** Nodes that the caller administers; undefined = all. */
    mine(caller: Pick<Caller, 'id' | 'role'>): Promise<ReadonlySet<string> | undefined>
    /** Those nodes with their storage and load, waiting ones too for who may approve. */
    kept(page: {offset: number; limit: number}, caller: Caller): Promise<KeptNode[]>
    /** By id, or number in digits, and nothing else. Throws not_found, node_not_assigned. */
    keptOne(reference: string, caller: Caller): Promise<KeptNode & {backupsCount: number}>
    /** Readings of the active nodes, from memory; cheap enough for every tick. */
    readings(): NodeStats[]
    /** One node's reading; resolves the reference first. Throws not_found. */
    resolve(reference: string, caller: Caller): Promise<{id: string; name: string}>
    reading(nodeId: string): NodeStats | undefined
    /** Nodes whose Docker Engine the server reaches itself, and one look whether it answers (10 s at most). */
    withEngines(): Promise<string[]>
    pingEngine(nodeId: string): Promise<void>
  }
  runtimes: Omit<Methods<'runtimes'>, 'list' | 'get'> & {
    /** In the order in which they registered. */
    list(input: InputOf<'runtimes.list'>): Promise<Runtime[]>
    get(input: {id: string}): Promise<Runtime>
    /** Each start of a runtime is one; it waits for approval anew, and its former token is worth nothing (wire.md 1.3). */
    register(
      input: RuntimeRegistrationInput,
      caller: RegistrationCaller,
    ): Promise<{runtime: Runtime; token: string; isNew: boolean}>
    /** The runtime behind a token; throws token_invalid. */
    authenticate(token: string): Promise<{id: string; name: string}>
    /** Throws token_invalid unless the token is that runtime's own, not_found. */
    beat(token: string, id: string, beat: RuntimeBeat): Promise<void>
    /** Null takes a member back; absent ones stay. */
    update(
      input: {id: string; customName?: string | null; tags?: string[]; notes?: string | null},
      caller: Caller,
    ): Promise<Runtime>
    disconnect(input: {id: string}, caller: Caller): Promise<Runtime>
    /** So many last lines of its own log, as it tells them; throws runtime_unreachable. */
    logs(input: {id: string; tail: number}): Promise<unknown>
    /** Its latest readings, oldest first. */
    readings(input: {id: string}): Promise<RuntimeLoad[]>
    /** Requests of the proxy in the last 60 minutes, oldest first. */
    requestHistory(): {minute: string; succeeded: number; failed: number}[]
    /** Approved, on an active node or on none, online. */
    targets(): Promise<RuntimeTarget[]>
    knownModels(): Promise<{id: string; isReady: boolean}[]>
    /** The runtime is not asked for that model until it registers again, or was away and came back. */
    exclude(id: string, model: string): void
    /** Counts a request to the runtime; call the answer when it is over. */
    began(id: string): (outcome: RequestOutcome) => void
    /** Counts a request that waits for a runtime; call the answer when it waits no more. */
    waits(): () => void
    /** How many wait now. */
    waiting(): number
  }
  keys: Methods<'keys'>
  sessions: Methods<'sessions'> & {
    /** A door opened; throws too_many, and token_invalid when the user is disabled or gone. */
    open(start: SessionStart): Promise<OpenSession>
    /** Resolves when what has ended is written down. */
    settled(): Promise<void>
  }
  gpus: Methods<'gpus'>
  claims: Methods<'claims'>
  instances: Methods<'instances'> & {
    /** What is not deleted, newest first, and how many there are; a super administrator sees everybody's. */
    page(input: InstancePage, caller: Caller): Promise<{list: Instance[]; total: number}>
    /** Output so far, frames. */
    openLogs(input: InputOf<'instances.logs'>, caller: Caller, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
    /** Waits for the start, follows, ends with the workload. `after` is the id of the last event that the client has. */
    followLogs(
      input: InputOf<'instances.followLogs'>,
      after: string | undefined,
      caller: Caller,
      signal: AbortSignal,
    ): Promise<AsyncIterable<{id: string; event: 'log'; data: LogEvent} | {id: string; event: 'end'; data: LogEnd}>>
    /** A reading of a moment ago, or none yet; asking for it starts the next one. */
    latest(instance: Instance, caller: Caller): InstanceStats | undefined
    openStats(input: {id: string}, caller: Caller, signal: AbortSignal): Promise<AsyncIterable<InstanceStats>>
    /** A session of its own, unless it belongs to one. */
    openExec(input: InputOf<'instances.exec'>, caller: Caller, session?: OpenSession): Promise<ExecStream>
    /** A login shell, or a line that a shell runs; with a terminal unless there is a command. */
    openShell(input: ShellInput, caller: Caller, session?: OpenSession): Promise<ExecStream>
    /** A connection to a port that something listens on inside the instance. Throws port_closed. */
    openForward(input: InputOf<'instances.forward'>, caller: Caller): Promise<ByteStream>
    /** A file or folder as tar; its first entry bears the last name of the path. Throws path_missing. */
    readArchive(input: InputOf<'instances.archive'>, caller: Caller, signal: AbortSignal): Promise<Archive>
    /** Unpacks a tar into a folder that is there; resolves when all is written. Throws path_missing, path_refused. */
    writeArchive(input: InputOf<'instances.unpack'>, content: AsyncIterable<Uint8Array>, caller: Caller): Promise<void>
  }
  models: Methods<'models'> & {
    /** For callers that have no account, as runtimes. */
    every(): Promise<Model[]>
  }
  images: Methods<'images'>
  specs: Methods<'specs'>
  sites: Methods<'sites'> & {
    report(nodeId: string, input: InputOf<'sites.report'>): Promise<{done: true}>
  }
  backups: Methods<'backups'> & {
    report(nodeId: string, input: InputOf<'backups.report'>): Promise<OutputOf<'backups.report'>>
    /** Its file from the offset on, and how many bytes that are. */
    openContent(
      input: InputOf<'backups.download'>,
      caller: Caller,
      signal: AbortSignal,
    ): Promise<{filename: string; bytes: number; content: AsyncIterable<Uint8Array>}>
    /** How many there are, whatever the page. */
    count(input: Pick<InputOf<'backups.list'>, 'node' | 'site'>, caller: Caller): Promise<number>
  }
  vmBackups: Methods<'vmBackups'>
  applied: Methods<'applied'>
  backupTargets: Methods<'backupTargets'>
  devices: Methods<'devices'>
  pools: Methods<'pools'>
  mounts: Methods<'mounts'>
  members: Methods<'members'>
  osImages: Methods<'osImages'> & {
    /** Writes what comes from the offset on; resolves with what the node has then. */
    upload(input: InputOf<'osImages.upload'>, content: AsyncIterable<Uint8Array>, caller: Caller): Promise<OsImage>
  }
  tasks: Methods<'tasks'> & {
    /** The newest state each time it changes, the last one when it is over; a slow reader misses some between. */
    follow(input: {id: string}, caller: Caller, signal: AbortSignal): Promise<AsyncIterable<Task>>
  }
  events: Methods<'events'> & {
    /** Calls back with every event that is committed from now on, until the returned function is called. */
    subscribe(listener: (event: Event) => void): () => void
    /** Whether this caller may see it. */
    visible(event: Event, caller: Caller): Promise<boolean>
  }
  server: Methods<'server'> & {
    /** A connection to the jump host. Throws feature_off when there is none. */
    openSshTunnel(): Promise<ByteStream>
    /** The jump host, where there is one. */
    ssh(): SshDoor | undefined
    version(): Promise<OutputOf<'server.version'>>
    /** Called about once a second: writes beats behind, drops requests whose code ran out, prunes old rows. */
    maintain(): Promise<void>
  }
}
