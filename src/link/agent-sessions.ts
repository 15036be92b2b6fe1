import type {
  AgentProgram,
  Desired,
  ExecQuery,
  FoundSnapshot,
  ImagePull,
  OsImageEnd,
  ProgramEnd,
  ProgramPart,
  PushedSnapshot,
  Report,
  SnapshotName,
  UnpackEnd,
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
import type {Logger} from '../platform/logger.ts'
import {LinkError, RemoteError} from './link-error.ts'
import type {DuplexCall, ServerLink} from './server-end.ts'

/** A pool over slow disks takes minutes; the agent's own limits end before this one. */
const storageTimeoutMs = 15 * 60_000
const examinationTimeoutMs = 60_000
/** Large files that a container has written are packed meanwhile; the runtime's own limit ends before this one. */
const snapshotTimeoutMs = 31 * 60_000
/** Its image is made, and sent; the runtime's own limits end before this one. */
const pushTimeoutMs = 45 * 60_000
/** One report line: an inventory of 1,024 GPUs fits. */
const maxReportBytes = 4 * 1024 * 1024

export interface SessionOwner {
  /** The node's link is up; called before its first report. */
  opened(nodeId: string): Promise<void>
  closed(nodeId: string, reason: string): Promise<void>
  report(nodeId: string, report: Report): Promise<void>
}

/** The open links, one a node: a newer one takes the place of the older. Implements the domain's port Fleet. */
export class AgentSessions {
  readonly #links = new Map<string, ServerLink>()
  readonly #serving = new Set<Promise<void>>()
  readonly #owner: SessionOwner
  readonly #logger: Logger

  constructor(deps: {owner: SessionOwner; logger: Logger}) {
    this.#owner = deps.owner
    this.#logger = deps.logger
  }

  connected(nodeId: string): boolean {
    return this.#links.has(nodeId)
  }

  get size(): number {
    return this.#links.size
  }

  agent(nodeId: string): AgentSession {
    const link = this.#links.get(nodeId)
    if (!link) throw new LinkError('link_down', 'The node is not connected.')
    return new AgentSession(link)
  }

  /** Takes over a link whose node is known, and reads its reports until it ends. */
  adopt(nodeId: string, link: ServerLink): void {
    const former = this.#links.get(nodeId)
    this.#links.set(nodeId, link)
    former?.close('the node opened a newer link')
    const serving = this.#serve(nodeId, link).finally(() => this.#serving.delete(serving))
    this.#serving.add(serving)
  }

  /** Ends the node's link, if there is one. */
  drop(nodeId: string, reason: string): void {
    this.#links.get(nodeId)?.close(reason)
  }

  /** Resolves when the owner has been told of all: it may end what it needs for that only now. */
  async close(): Promise<void> {
    const links = [...this.#links.values()]
    for (const link of links) link.close('the server is stopping')
    await Promise.all(this.#serving)
  }

  async #serve(nodeId: string, link: ServerLink): Promise<void> {
    let reason = ''
    try {
      await this.#owner.opened(nodeId)
      for await (const report of readReports(link)) await this.#owner.report(nodeId, report)
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error)
      this.#logger.info({node: nodeId, reason}, 'the report stream of a node ended')
    }
    link.close(reason || 'the node ended its reports')
    await link.closed
    if (this.#links.get(nodeId) !== link) return
    this.#links.delete(nodeId)
    await this.#owner.closed(nodeId, reason).catch(error => this.#logger.error({err: error}, 'closing a link failed'))
  }
}

/** What the server asks of one agent. Implements the domain's AgentPort. */
export class AgentSession {
  readonly #link: ServerLink

  constructor(link: ServerLink) {
    this.#link = link
  }

  async setDesired(desired: Desired): Promise<void> {
    await this.#link.json({method: 'PUT', path: '/desired', body: desired})
  }

  metrics(nodeId: string): Promise<AgentMetrics> {
    return this.#link.json({method: 'GET', path: `/metrics?node_id=${encodeURIComponent(nodeId)}`, timeoutMs: 5_000})
  }

  /** Programs that look may hang for a while on a mount whose server is silent. */
  examine(): Promise<NodeFinding[]> {
    return this.#link.json({method: 'GET', path: '/examination', timeoutMs: examinationTimeoutMs})
  }

  async repair(check: string, signal?: AbortSignal): Promise<void> {
    const path = `/repairs/${encodeURIComponent(check)}`
    await this.#link.json({method: 'POST', path, timeoutMs: storageTimeoutMs, signal})
  }

  program(): Promise<AgentProgram> {
    return this.#link.json({method: 'GET', path: '/program', timeoutMs: 10_000})
  }

  /** Resolves when the agent has it, and is about to go over to it. Throws `RemoteError` when it does not want it. */
  async sendProgram(part: ProgramPart, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const query = new URLSearchParams({...part, sizeBytes: String(part.sizeBytes)})
    await this.#send<ProgramEnd>({method: 'PUT', path: `/program?${query}`, signal}, content)
  }

  async confirmProgram(version: string): Promise<void> {
    await this.#link.json({method: 'POST', path: `/program/confirmation?${new URLSearchParams({version})}`})
  }

  async logs(
    containerId: string,
    query: {
      follow: boolean
      tail?: number
      sinceNs?: bigint
      untilNs?: bigint
      previous?: boolean
      timestamps: boolean
      stdout: boolean
      stderr: boolean
    },
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
    const {body} = await this.#link.open(`/containers/${encodeURIComponent(containerId)}/logs?${search}`, {signal})
    return body
  }

  async stats(containerId: string, signal: AbortSignal): Promise<AsyncIterable<Record<string, unknown>>> {
    const {body} = await this.#link.open(`/containers/${encodeURIComponent(containerId)}/stats`, {signal})
    return readLines(body) as AsyncIterable<Record<string, unknown>>
  }

  async exec(containerId: string, request: ExecQuery): Promise<DuplexCall> {
    return this.#link.duplex({
      path: `/containers/${encodeURIComponent(containerId)}/exec`,
      headers: {'x-gpuctl-exec': Buffer.from(JSON.stringify(request)).toString('base64url')},
    })
  }

  async pullImage(image: string, signal: AbortSignal): Promise<AsyncIterable<ImagePull>> {
    const path = `/image-pulls?image=${encodeURIComponent(image)}`
    const {body} = await this.#link.open(path, {method: 'POST', signal})
    return readLines(body) as AsyncIterable<ImagePull>
  }

  async findSnapshot(name: SnapshotName): Promise<FoundSnapshot | null> {
    return this.#link.json({method: 'GET', path: snapshotPath(name)})
  }

  async takeSnapshot(name: SnapshotName, containerId: string, signal: AbortSignal): Promise<FoundSnapshot> {
    const path = `${snapshotPath(name)}?${new URLSearchParams({container: containerId})}`
    return this.#link.json({method: 'PUT', path, timeoutMs: snapshotTimeoutMs, signal})
  }

  async pushSnapshot(name: SnapshotName, image: string, signal: AbortSignal): Promise<PushedSnapshot> {
    const path = `${snapshotPath(name)}/push?${new URLSearchParams({image})}`
    return this.#link.json({method: 'POST', path, timeoutMs: pushTimeoutMs, signal})
  }

  async removeSnapshot(name: SnapshotName): Promise<void> {
    await this.#link.json({method: 'DELETE', path: snapshotPath(name), timeoutMs: 60_000})
  }

  async storage<M extends StorageMethod>(
    method: M,
    input: StorageInput<M>,
    signal?: AbortSignal,
  ): Promise<StorageOutput<M>> {
    return this.#link.json({
      method: 'POST',
      path: `/storage/${method}`,
      body: input,
      timeoutMs: storageTimeoutMs,
      signal,
    })
  }

  /** Resolves when what came is written. Throws `RemoteError` when the agent could not. */
  async receiveOsImage(
    {name, offset, totalBytes, sha256}: OsImagePart,
    content: AsyncIterable<Uint8Array>,
  ): Promise<FoundOsImage> {
    const query = new URLSearchParams({offset: String(offset), totalBytes: String(totalBytes), sha256})
    const path = `/os-images/${encodeURIComponent(name)}?${query}`
    const {image} = await this.#send<OsImageEnd>({method: 'PUT', path}, content)
    if (!image) throw new LinkError('bad_answer', 'The agent did not say what it has now.')
    return image
  }

  /** Bytes of a finished backup. Throws `RemoteError` when the agent cannot read it. */
  async readBackup(part: BackupPart, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const {body} = await this.#link.open('/backup-content', {method: 'POST', body: part, signal})
    return body
  }

  /** Bytes both ways. */
  async dial(containerId: string, port: number): Promise<DuplexCall> {
    return this.#link.duplex({path: `/containers/${encodeURIComponent(containerId)}/dial?port=${port}`})
  }

  async statPath(containerId: string, path: string): Promise<PathStat> {
    return this.#link.json({path: pathOf(containerId, 'path', path)})
  }

  async readArchive(
    containerId: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{stat: PathStat; content: AsyncIterable<Uint8Array>}> {
    const {headers, body} = await this.#link.open(pathOf(containerId, 'archive', path), {signal})
    const stat = JSON.parse(Buffer.from(String(headers['x-gpuctl-stat']), 'base64url').toString()) as PathStat
    return {stat, content: body}
  }

  /** Resolves when all is unpacked. Throws `RemoteError` when the agent could not. */
  async writeArchive(containerId: string, path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#send<UnpackEnd>({path: pathOf(containerId, 'archive', path)}, content)
  }

  /** Sends all of it; resolves with how the agent says that it ended. Throws `RemoteError` where that is an error. */
  async #send<E extends {error?: {code: string; message: string}}>(
    request: {method?: string; path: string; signal?: AbortSignal},
    content: AsyncIterable<Uint8Array>,
  ): Promise<E> {
    const call = await this.#link.duplex(request)
    try {
      const end = readEnd<E>(call.output)
      end.catch(() => {}) // awaited below
      try {
        for await (const piece of content) await call.write(piece)
        call.endInput()
      } catch (error) {
        // The agent stops reading when it cannot go on: its reason is the better one.
        const isOver = error instanceof LinkError || (error as Error).name === 'AbortError'
        if (!isOver) throw error
      }
      const ended = await end
      if (ended.error) throw new RemoteError(500, ended.error.code, ended.error.message)
      return ended
    } finally {
      call.close()
    }
  }
}

function pathOf(containerId: string, what: string, path: string): string {
  return `/containers/${encodeURIComponent(containerId)}/${what}?${new URLSearchParams({path})}`
}

function snapshotPath({instanceId, snapshotId}: SnapshotName): string {
  return `/instances/${encodeURIComponent(instanceId)}/snapshots/${encodeURIComponent(snapshotId)}`
}

async function readEnd<E>(output: AsyncIterable<Uint8Array>): Promise<E> {
  for await (const end of readLines(output)) return end as E
  throw new LinkError('stream_reset', 'The agent did not say how it ended.')
}

async function* readReports(link: ServerLink): AsyncGenerator<Report> {
  const {body} = await link.open('/reports')
  yield* readLines(body) as AsyncGenerator<Report>
}

async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const piece of body) {
    rest += decoder.decode(piece, {stream: true})
    if (rest.length > maxReportBytes) throw new Error('a line of the agent is too long')
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line) yield JSON.parse(line)
  }
}
