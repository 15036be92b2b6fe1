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
import type {PathStat} from '../contract/schemas/instances.ts'
import type {AgentMetrics, NodeFinding} from '../contract/schemas/nodes.ts'
import type {
  BackupPart,
  FoundOsImage,
  OsImagePart,
  StorageInput,
  StorageMethod,
  StorageOutput,
} from '../contract/storage-protocol.ts'
import {type DomainError, problem} from '../domain/errors.ts'
import type {AgentPort, Archive, ByteStream, ExecStream, Fleet, LogQuery} from '../domain/ports.ts'
import type {AgentSession, AgentSessions} from '../link/agent-sessions.ts'
import {LinkError, RemoteError} from '../link/link-error.ts'

/** The open links as the domain knows them: a broken link is node_offline, a refusal of the agent node_failed. */
export function fleetOf(sessions: AgentSessions, nameOf: (nodeId: string) => string): Fleet {
  return {
    connected: nodeId => sessions.connected(nodeId),
    agent: nodeId => {
      if (!sessions.connected(nodeId)) throw problem('node_offline', {name: nameOf(nodeId)})
      return new TranslatedAgent(sessions.agent(nodeId), () => nameOf(nodeId))
    },
  }
}

/** What the storage of a node refused, by the agent's code. */
const storageProblems = {
  storage_not_found: 'storage_missing',
  storage_exists: 'storage_taken',
  storage_in_use: 'storage_in_use',
  storage_needed: 'storage_needed',
  storage_invalid: 'storage_invalid',
  storage_unsupported: 'storage_invalid',
  storage_full: 'storage_full',
  storage_unavailable: 'storage_failed',
  storage_failed: 'storage_failed',
} as const

/** What a refusal of a node's storage means to the caller; undefined where it is none. */
export function storageProblem(code: string, name: string, cause: unknown): DomainError | undefined {
  const found = storageProblems[code as keyof typeof storageProblems]
  return found && problem(found, {name, reason: (cause as Error).message}, {cause})
}

class TranslatedAgent implements AgentPort {
  readonly #session: AgentSession
  readonly #name: () => string

  constructor(session: AgentSession, name: () => string) {
    this.#session = session
    this.#name = name
  }

  setDesired(desired: Desired): Promise<void> {
    return this.#translate(this.#session.setDesired(desired))
  }

  metrics(nodeId: string): Promise<AgentMetrics> {
    return this.#translate(this.#session.metrics(nodeId))
  }

  examine(): Promise<NodeFinding[]> {
    return this.#translate(this.#session.examine())
  }

  repair(check: string, signal?: AbortSignal): Promise<void> {
    return this.#translate(this.#session.repair(check, signal))
  }

  program(): Promise<AgentProgram> {
    return this.#translate(this.#session.program())
  }

  sendProgram(part: ProgramPart, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    return this.#translate(this.#session.sendProgram(part, content, signal))
  }

  confirmProgram(version: string): Promise<void> {
    return this.#translate(this.#session.confirmProgram(version))
  }

  logs(containerId: string, query: LogQuery, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.#translate(this.#session.logs(containerId, query, signal))
  }

  stats(containerId: string, signal: AbortSignal): Promise<AsyncIterable<Record<string, unknown>>> {
    return this.#translate(this.#session.stats(containerId, signal))
  }

  async exec(containerId: string, request: ExecQuery): Promise<ExecStream> {
    return this.#translate(this.#session.exec(containerId, request))
  }

  async pullImage(image: string, signal: AbortSignal): Promise<AsyncIterable<ImagePull>> {
    const lines = await this.#translate(this.#session.pullImage(image, signal))
    const next = (iterator: AsyncIterator<ImagePull>) => this.#translate(iterator.next())
    return (async function* () {
      const iterator = lines[Symbol.asyncIterator]()
      for (let line = await next(iterator); !line.done; line = await next(iterator)) yield line.value
    })()
  }

  findSnapshot(name: SnapshotName): Promise<FoundSnapshot | null> {
    return this.#translate(this.#session.findSnapshot(name))
  }

  takeSnapshot(name: SnapshotName, containerId: string, signal: AbortSignal): Promise<FoundSnapshot> {
    return this.#translate(this.#session.takeSnapshot(name, containerId, signal))
  }

  pushSnapshot(name: SnapshotName, image: string, signal: AbortSignal): Promise<PushedSnapshot> {
    return this.#translate(this.#session.pushSnapshot(name, image, signal))
  }

  removeSnapshot(name: SnapshotName): Promise<void> {
    return this.#translate(this.#session.removeSnapshot(name))
  }

  storage<M extends StorageMethod>(method: M, input: StorageInput<M>, signal?: AbortSignal): Promise<StorageOutput<M>> {
    return this.#translate(this.#session.storage(method, input, signal))
  }

  receiveOsImage(part: OsImagePart, content: AsyncIterable<Uint8Array>): Promise<FoundOsImage> {
    return this.#translate(this.#session.receiveOsImage(part, content))
  }

  readBackup(part: BackupPart, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.#translate(this.#session.readBackup(part, signal))
  }

  async dial(containerId: string, port: number): Promise<ByteStream> {
    const {output, write, endInput, close} = await this.#translate(this.#session.dial(containerId, port), {port})
    return {output, write, end: endInput, close}
  }

  statPath(containerId: string, path: string): Promise<PathStat> {
    return this.#translate(this.#session.statPath(containerId, path), {path})
  }

  readArchive(containerId: string, path: string, signal: AbortSignal): Promise<Archive> {
    return this.#translate(this.#session.readArchive(containerId, path, signal), {path})
  }

  writeArchive(containerId: string, path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#translate(this.#session.writeArchive(containerId, path, content), {path})
  }

  async #translate<T>(answer: Promise<T>, {path = '', port = 0} = {}): Promise<T> {
    try {
      return await answer
    } catch (error) {
      const {code, message: reason} = error as RemoteError
      if (code === 'no_path') throw problem('path_missing', {path}, {cause: error})
      if (code === 'path_refused') throw problem('path_refused', {path, reason}, {cause: error})
      if (code === 'port_closed') throw problem('port_closed', {port, reason}, {cause: error})
      const refused = storageProblem(String(code), this.#name(), error)
      if (refused) throw refused
      if (error instanceof RemoteError)
        throw problem('node_failed', {name: this.#name(), reason: error.message}, {cause: error})
      if (error instanceof LinkError) throw problem('node_offline', {name: this.#name()}, {cause: error})
      throw error
    }
  }
}
