import {isAbsolute, relative, resolve} from 'node:path'
import {type ContainerSpec, type FoundContainer, RuntimeError} from '../../runtime/driver.ts'
import {label} from '../../runtime/labels.ts'
import type {Agent} from '../agent.ts'
import type {ContainerRequest} from './container-request.ts'
import {LocalProblem} from './problem.ts'

/** Labels of document 004's node agent (wire.md 5.4). */
const utopia = {
  claim: 'utopia.claim_id',
  gpuIds: 'utopia.gpu_ids',
  gpuCount: 'utopia.gpu_count',
  managed: 'utopia.managed',
  nodeType: 'utopia.node_type',
}

const stopGraceSeconds = 30
/** Containers that are being made at once. */
const mostCreations = 16

/** A container as the local API shows it. Times in seconds since 1970, 0 = not yet. */
export interface LocalContainer {
  id: string
  claim_id: string
  image: string
  status: string
  gpu_ids: number[]
  /** `8888/tcp` → `0.0.0.0:32768`. */
  ports: Record<string, string>
  created: number
  started: number
  labels: Record<string, string>
}

/**
 * The containers of this machine behind the local API. It makes and removes some only where no control server decides
 * what runs here: on a joined machine a container that the server did not want would be taken away as a stray.
 */
export class LocalContainers {
  readonly #agent: Agent
  readonly #nodeId: string
  readonly #sharedFolders: readonly string[]
  readonly #owner: string | undefined
  /** Cards of containers that are on their way, by name. */
  readonly #reserved = new Map<string, readonly number[]>()
  #turn: Promise<unknown> = Promise.resolve()

  /** `owner`: the control server that decides here; undefined: nobody but the callers. */
  constructor(parts: {agent: Agent; nodeId: string; sharedFolders: readonly string[]; owner?: string}) {
    this.#agent = parts.agent
    this.#nodeId = parts.nodeId
    this.#sharedFolders = parts.sharedFolders
    this.#owner = parts.owner
  }

  async list(): Promise<LocalContainer[]> {
    return (await this.#all()).map(describe)
  }

  async get(id: string): Promise<LocalContainer> {
    return describe(await this.#find(id))
  }

  /** Cards that are given to somebody, used or not. */
  async heldGpus(): Promise<Set<number>> {
    return new Set((await this.#all()).flatMap(({labels}) => gpuIds(labels)))
  }

  /** Takes free cards, fetches the image, creates and starts; the container's id. What fails leaves nothing behind. */
  async create(request: ContainerRequest): Promise<string> {
    this.#refuseIfOwned('put a container here')
    if (this.#reserved.size >= mostCreations) {
      throw new LocalProblem(503, 'busy', `${mostCreations} containers are being made already. Try again shortly.`)
    }
    this.#checkFolders(request)
    const name = `utopia-claim-${request.claimId}`
    const indexes = await this.#inTurn(() => this.#reserve(name, request.gpuCount))
    const {driver} = this.#agent
    let containerId: string | undefined
    try {
      await driver.pull(request.image)
      const made = await driver.create(this.#spec(name, indexes, request))
      containerId = made.containerId
      await driver.start(containerId)
      return containerId
    } catch (error) {
      if (containerId) await driver.remove(containerId).catch(() => {})
      const {code, message} = error instanceof RuntimeError ? error : {code: 'failed', message: String(error)}
      throw new LocalProblem(500, 'container_creation_failed', message, {reason: code})
    } finally {
      this.#reserved.delete(name)
    }
  }

  async remove(id: string): Promise<void> {
    this.#refuseIfOwned('remove this container')
    const {containerId} = await this.#find(id)
    await this.#agent.driver.stop(containerId, stopGraceSeconds)
    await this.#agent.driver.remove(containerId)
  }

  async #reserve(name: string, count: number): Promise<readonly number[]> {
    const all = await this.#all()
    const standing = all.find(one => one.name === name)
    if (standing || this.#reserved.has(name)) {
      const details = standing && {container_id: standing.containerId}
      throw new LocalProblem(409, 'claim_exists', 'The claim has a container already.', details)
    }
    const held = new Set([...all.flatMap(({labels}) => gpuIds(labels)), ...[...this.#reserved.values()].flat()])
    const free = this.#agent.metrics(this.#nodeId, held).gpus.filter(({busy}) => !busy)
    if (free.length < count) {
      const words = `${count} GPUs are wanted and ${free.length} are free.`
      throw new LocalProblem(409, 'insufficient_gpus', words, {requested: count, available: free.length})
    }
    const taken = free.slice(0, count).map(({id}) => id)
    this.#reserved.set(name, taken)
    return taken
  }

  #spec(name: string, indexes: readonly number[], request: ContainerRequest): ContainerSpec {
    const {claimId, image, command, env, workingDir, ports, volumes} = request
    const ids = indexes.join(',')
    return {
      ...{name, image, command, env, workingDir, ports},
      labels: {
        [label.claim]: claimId,
        [label.gpus]: ids,
        [utopia.claim]: claimId,
        [utopia.gpuIds]: ids,
        [utopia.gpuCount]: String(indexes.length),
        [utopia.managed]: 'true',
        [utopia.nodeType]: 'gpu',
      },
      gpus: indexes.map(index => this.#agent.gpu(index)),
      volumes: volumes.filter(({source}) => !isAbsolute(source)).map(({source, path}) => ({name: source, path})),
      folders: volumes.filter(({source}) => isAbsolute(source)),
      restart: 'unless-stopped',
    }
  }

  /** A path of the host gives its files to the container's root: only what the operator shares. */
  #checkFolders({volumes}: ContainerRequest): void {
    for (const {source} of volumes) {
      if (!isAbsolute(source) || this.#sharedFolders.some(folder => isIn(folder, source))) continue
      const words = `The folder ${source} of this machine is not shared. Give the name of a volume, or start the agent with --share-folder.`
      throw new LocalProblem(400, 'folder_not_shared', words, {field: 'volumes'})
    }
  }

  #refuseIfOwned(doing: string): void {
    if (this.#owner === undefined) return
    const words = `This machine works for the control server ${this.#owner}: ask there to ${doing}.`
    throw new LocalProblem(409, 'joined', words, {server: this.#owner})
  }

  async #all(): Promise<FoundContainer[]> {
    const all = await this.#agent.driver.list()
    return all.filter(({labels}) => (labels[label.node] ?? this.#nodeId) === this.#nodeId)
  }

  async #find(id: string): Promise<FoundContainer> {
    const found = (await this.#all()).find(({containerId, name}) => containerId === id || name === id)
    if (found) return found
    throw new LocalProblem(404, 'container_not_found', `There is no container ${id.slice(0, 80)} here.`)
  }

  /** One at a time: two must not choose the same card. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.catch(() => {}).then(work)
    this.#turn = done
    return done
  }
}

function describe({
  containerId,
  image,
  state,
  labels,
  ports = {},
  createdAt,
  startedAt,
}: FoundContainer): LocalContainer {
  const seconds = (time: string) => (time === '' ? 0 : Math.floor(Date.parse(time) / 1000))
  return {
    id: containerId,
    claim_id: labels[utopia.claim] ?? labels[label.claim] ?? '',
    image,
    status: state,
    gpu_ids: gpuIds(labels),
    ports,
    created: seconds(createdAt),
    started: seconds(startedAt),
    labels,
  }
}

function gpuIds(labels: Record<string, string>): number[] {
  const ids = labels[utopia.gpuIds] ?? labels[label.gpus] ?? ''
  return ids === '' ? [] : ids.split(',').map(Number)
}

/** By their paths; a link in a shared folder is its operator's own. */
function isIn(folder: string, path: string): boolean {
  const way = relative(resolve(folder), resolve(path))
  return way === '' || (!way.startsWith('..') && !isAbsolute(way))
}
