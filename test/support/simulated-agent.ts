import {createHash} from 'node:crypto'
import type {
  AgentProgram,
  Desired,
  DesiredInstance,
  FoundSnapshot,
  ImagePull,
  InstanceReport,
  Inventory,
  ProgramPart,
  PushedSnapshot,
  SnapshotName,
} from '../../src/contract/agent-protocol.ts'
import {encodeFrame, frameKind} from '../../src/contract/frames.ts'
import type {PathStat} from '../../src/contract/schemas/instances.ts'
import type {AgentMetrics, NodeFinding} from '../../src/contract/schemas/nodes.ts'
import type {StorageInput, StorageMethod, StorageOutput} from '../../src/contract/storage-protocol.ts'
import {problem} from '../../src/domain/errors.ts'
import type {AgentPort, Archive, ByteStream, ExecStream, LogQuery} from '../../src/domain/ports.ts'
import type {Services} from '../../src/domain/services/services.ts'
import {storageProblem} from '../../src/main/fleet.ts'

interface Container {
  wanted: DesiredInstance
  generation: number
  state: 'created' | 'running' | 'exited' | 'failed'
  exitCode: number | null
  starts: number
  log: string
  /** Count of the restore that it came of, and of the one that failed. */
  restored?: number
  refused?: number
}

export interface SimulatedNode {
  name: string
  gpus?: number
  model?: string
  gpuMemoryMiB?: number
  cpus?: number
  memoryMiB?: number
  labels?: Record<string, string>
  images?: boolean
  /** Works on storage in place of a node's. */
  storage?: AgentPort['storage']
}

/**
 * An agent in this process, which keeps to the protocol: takes desired state, runs "containers", tells what came of it.
 * Image `missing` cannot be pulled, image `broken` cannot be created; a command `exit N` ends at once with N.
 */
export class SimulatedAgent implements AgentPort {
  /** Its version: a program that is sent takes its place, unless it is to break. */
  runs = '0.0.9'
  breaks = false
  #failed: AgentProgram['failed'] = null
  readonly nodeId: string
  readonly spec: SimulatedNode
  readonly containers = new Map<string, Container>()
  /** Pulls that wait, by image. */
  readonly pulls = new Map<string, () => void>()
  /** Names of the volumes that are there. */
  readonly volumes = new Set<string>()
  /** Of its containers, by id. */
  readonly snapshots = new Map<string, FoundSnapshot>()
  readonly pushed: string[] = []
  /** Every moment at which two containers held one GPU. */
  readonly doubles: string[] = []
  /** How often desired state came. */
  told = 0
  desired: Desired | undefined
  isConnected = false
  /** Does nothing but remember what it is told. */
  isStuck = false
  #services: Services
  #sequence = 0
  #boot = 1
  #work: Promise<void> = Promise.resolve()

  constructor(nodeId: string, spec: SimulatedNode, services: Services) {
    this.nodeId = nodeId
    this.spec = spec
    this.#services = services
  }

  get inventory(): Inventory {
    const {
      name,
      gpus = 0,
      model = 'RTX 4090',
      gpuMemoryMiB = 24_576,
      cpus = 32,
      memoryMiB = 131_072,
      images = true,
    } = this.spec
    return {
      runtime: 'fake',
      runtimeVersion: '1',
      cpus,
      memoryMiB,
      os: 'Debian 12',
      architecture: 'x64',
      agentVersion: '0.1.0',
      images,
      gpus: Array.from({length: gpus}, (_, index) => ({
        index,
        uuid: `GPU-${name}-${index}`,
        vendor: 'fake',
        model,
        memoryMiB: gpuMemoryMiB,
        memoryUsedMiB: 0,
        utilizationPercent: 0,
        temperatureC: 40,
        powerW: 50,
        computeCapability: '8.9',
        simulated: true,
      })),
    }
  }

  async connect(services = this.#services): Promise<void> {
    this.#services = services
    this.isConnected = true
    const desiredRevision = this.desired?.revision ?? 0
    await services.nodes.linkOpened(this.nodeId)
    await services.nodes.report(this.nodeId, {
      type: 'hello',
      bootId: `boot-${this.#boot}`,
      inventory: this.inventory,
      desiredRevision,
    })
    await this.beat()
    await this.reportAll()
  }

  async disconnect(reason = 'cut'): Promise<void> {
    this.isConnected = false
    await this.#services.nodes.linkClosed(this.nodeId, reason)
  }

  async beat(runtimeState: 'ok' | 'degraded' = 'ok'): Promise<void> {
    const beat = {bootId: `boot-${this.#boot}`, sequence: ++this.#sequence, cpuPercent: 10, runtimeState}
    await this.#services.nodes.report(this.nodeId, {type: 'beat', beat})
  }

  async reportAll(): Promise<void> {
    const known = new Map((this.desired?.instances ?? []).map(one => [one.allocationId, one]))
    await this.#tell([...known.values()], true)
  }

  async setDesired(desired: Desired): Promise<void> {
    if (!this.isConnected) throw new Error('not connected')
    this.told++
    if (this.desired && desired.revision < this.desired.revision) return
    this.desired = structuredClone(desired)
    if (this.isStuck) return
    this.#work = this.#work.then(() => this.#apply(desired))
  }

  idle(): Promise<void> {
    return this.#work
  }

  running(): Container[] {
    return [...this.containers.values()].filter(({state}) => state === 'running')
  }

  /** The workload of that name ends. */
  async exit(name: string, exitCode: number): Promise<void> {
    const one = this.#named(name)
    one.state = 'exited'
    one.exitCode = exitCode
    await this.#tell([one.wanted], false)
  }

  /** Somebody removes the container by hand. */
  async vanish(name: string): Promise<void> {
    const {wanted} = this.#named(name)
    this.containers.delete(wanted.allocationId)
    await this.#tell([wanted], false, 'removed')
  }

  async logs(containerId: string, _: LogQuery): Promise<AsyncIterable<Uint8Array>> {
    const one = [...this.containers.values()].find(({wanted}) => wanted.containerName === containerId)
    const text = one?.log ?? ''
    return (async function* () {
      yield encodeFrame(frameKind.stdout, Buffer.from(text))
    })()
  }

  async examine(): Promise<NodeFinding[]> {
    return []
  }

  async repair(): Promise<void> {}

  async program(): Promise<AgentProgram> {
    return {version: this.runs, platform: 'linux-x64', trial: null, failed: this.#failed}
  }

  async sendProgram({version, attempt}: ProgramPart): Promise<void> {
    if (this.breaks) this.#failed = {version, attempt, reason: 'It ended 3 times.'}
    else this.runs = version
  }

  async confirmProgram(): Promise<void> {}

  async metrics(nodeId: string): Promise<AgentMetrics> {
    const system = {cpu_usage_percent: 10, memory_usage_percent: 1, memory_total_mb: 1000, memory_used_mb: 10}
    return {
      node_id: nodeId,
      cpu_usage_percent: 10,
      memory_usage_percent: 1,
      gpus: [],
      system: {...system, disk_usage_percent: 0, load_average: 0, uptime: 1},
    }
  }

  async stats(): Promise<AsyncIterable<Record<string, unknown>>> {
    return (async function* () {
      yield {cpuPercent: 5}
    })()
  }

  async receiveOsImage(): Promise<never> {
    throw problem('storage_failed', {name: this.spec.name, reason: 'There is no storage here.'})
  }

  async storage<M extends StorageMethod>(
    method: M,
    input: StorageInput<M>,
    signal?: AbortSignal,
  ): Promise<StorageOutput<M>> {
    if (!this.spec.storage) throw problem('storage_failed', {name: this.spec.name, reason: 'There is no storage here.'})
    try {
      return await this.spec.storage(method, input, signal)
    } catch (error) {
      throw storageProblem(`storage_${(error as {code?: string}).code}`, this.spec.name, error) ?? error
    }
  }

  async readBackup(): Promise<AsyncIterable<Uint8Array>> {
    throw new Error('not simulated')
  }

  /** Waits at half for who lets it go on. */
  async pullImage(image: string, signal: AbortSignal): Promise<AsyncIterable<ImagePull>> {
    const {pulls} = this
    return (async function* () {
      yield {percent: 50}
      await new Promise<void>(resolve => {
        pulls.set(image, resolve)
        signal.addEventListener('abort', () => resolve(), {once: true})
      })
      pulls.delete(image)
      signal.throwIfAborted()
      if (image === 'missing') yield {error: {code: 'image_missing', message: `no ${image}`}}
      else yield {done: true as const}
    })()
  }

  async findSnapshot({snapshotId}: SnapshotName): Promise<FoundSnapshot | null> {
    return this.snapshots.get(snapshotId) ?? null
  }

  /** SNAPSHOT=broken in the environment of the container makes it fail. */
  async takeSnapshot({snapshotId}: SnapshotName, containerId: string): Promise<FoundSnapshot> {
    const found = [...this.containers.values()].find(({wanted}) => wanted.containerName === containerId)
    if (!found || found.wanted.env.SNAPSHOT === 'broken')
      throw problem('node_failed', {name: this.spec.name, reason: 'no space left on device'})
    const made = {imageId: `sha256:${snapshotId}`, sizeBytes: 100}
    this.snapshots.set(snapshotId, made)
    return made
  }

  /** What begins with `refused` cannot be pushed. */
  async pushSnapshot({snapshotId}: SnapshotName, image: string): Promise<PushedSnapshot> {
    if (image.startsWith('refused')) throw problem('node_failed', {name: this.spec.name, reason: 'denied'})
    this.pushed.push(image)
    return {digest: `sha256:${createHash('sha256').update(snapshotId).digest('hex')}`}
  }

  async removeSnapshot({snapshotId}: SnapshotName): Promise<void> {
    this.snapshots.delete(snapshotId)
  }

  async exec(): Promise<ExecStream> {
    throw new Error('not simulated')
  }

  async dial(): Promise<ByteStream> {
    throw new Error('not simulated')
  }

  async statPath(): Promise<PathStat> {
    throw new Error('not simulated')
  }

  async readArchive(): Promise<Archive> {
    throw new Error('not simulated')
  }

  async writeArchive(): Promise<void> {
    throw new Error('not simulated')
  }

  async #apply({instances, goingVolumes = [], goingSnapshots = []}: Desired): Promise<void> {
    const wanted = new Set(instances.map(one => one.allocationId))
    for (const id of this.containers.keys()) if (!wanted.has(id)) this.containers.delete(id)
    for (const one of instances) {
      this.#restore(one)
      this.#step(one)
      this.#check()
      await this.#tell([one], false)
    }
    for (const name of goingVolumes) await this.#removeVolume(name)
    for (const name of goingSnapshots) {
      this.snapshots.delete(name.snapshotId)
      await this.#services.nodes.report(this.nodeId, {type: 'snapshots', gone: [name]})
    }
  }

  async #removeVolume(name: string): Promise<void> {
    if ([...this.containers.values()].some(({wanted}) => wanted.volumes?.some(volume => volume.name === name))) return
    this.volumes.delete(name)
    if (this.isConnected) await this.#services.nodes.report(this.nodeId, {type: 'volumes', gone: [name]})
  }

  /** RESTORE=broken in the environment of the container makes it fail. */
  #restore({allocationId, restored, env}: DesiredInstance): void {
    const found = this.containers.get(allocationId)
    if (!restored || !found || Math.max(found.restored ?? 0, found.refused ?? 0) >= restored.count) return
    if (env.RESTORE === 'broken') found.refused = restored.count
    else found.restored = restored.count
  }

  #step(one: DesiredInstance): void {
    const found = this.containers.get(one.allocationId)
    if (one.state === 'removed') this.containers.delete(one.allocationId)
    else if (one.state === 'stopped') {
      if (found?.state === 'running')
        this.containers.set(one.allocationId, {...found, state: 'exited', exitCode: 143, wanted: one})
    } else if (!found || found.generation < one.generation) {
      const starts = (found?.starts ?? 0) + 1
      const isFailing = one.image === 'missing' || one.image === 'broken'
      const code = one.command?.[0] === 'exit' ? Number(one.command[1]) : null
      const state = isFailing ? 'failed' : code === null ? 'running' : 'exited'
      if (!isFailing) for (const {name} of one.volumes ?? []) this.volumes.add(name)
      const log = `2026-01-01T00:00:0${Math.min(9, starts)}.000000000Z start ${starts}\n`
      this.containers.set(one.allocationId, {
        ...found,
        wanted: one,
        generation: one.generation,
        state,
        exitCode: code,
        starts,
        log: (found?.log ?? '') + log,
      })
    }
  }

  /** A card may have one whole holder, or parts that its memory has room for. */
  #check(): void {
    const holders = new Map<number, {names: string[]; heldMiB: number}>()
    const {gpuMemoryMiB = 24_576} = this.spec
    for (const {wanted} of this.running()) {
      for (const {index, share} of wanted.gpus) {
        const {names, heldMiB} = holders.get(index) ?? {names: [], heldMiB: 0}
        const next = {names: [...names, wanted.containerName], heldMiB: heldMiB + (share?.memoryMiB ?? gpuMemoryMiB)}
        if (next.heldMiB > gpuMemoryMiB) this.doubles.push(`GPU ${index}: ${next.names.join(' and ')}`)
        holders.set(index, next)
      }
    }
  }

  async #tell(instances: DesiredInstance[], complete: boolean, state?: InstanceReport['state']): Promise<void> {
    if (!this.isConnected) return
    await this.#services.nodes.report(this.nodeId, {
      type: 'instances',
      complete,
      desiredRevision: this.desired?.revision ?? 0,
      instances: instances.map(one => this.#describe(one, state)),
    })
  }

  #describe(wanted: DesiredInstance, state?: InstanceReport['state']): InstanceReport {
    const found = this.containers.get(wanted.allocationId)
    const missing = wanted.state === 'removed' ? 'removed' : wanted.state === 'stopped' ? 'exited' : 'created'
    const isFailed = found?.state === 'failed'
    return {
      allocationId: wanted.allocationId,
      instanceId: wanted.instanceId,
      claimId: wanted.claimId,
      epoch: wanted.epoch,
      generation: found?.generation ?? wanted.generation,
      state: state ?? found?.state ?? missing,
      containerId: found && !isFailed ? wanted.containerName : '',
      exitCode: found?.exitCode ?? null,
      oomKilled: false,
      startedAt: found && !isFailed ? '2026-01-01T00:00:00.000Z' : '',
      finishedAt: '',
      errorCode: isFailed ? (wanted.image === 'missing' ? 'image_missing' : 'failed') : '',
      message: isFailed ? `no ${wanted.image}` : '',
      progress: null,
      warnings: [],
      ...(found?.restored ? {restored: found.restored} : {}),
      ...(found?.refused ? {refusedRestore: {count: found.refused, message: 'no space left'}} : {}),
    }
  }

  #named(name: string): Container {
    const found = [...this.containers.values()].find(({wanted, state}) => wanted.name === name && state !== 'exited')
    if (!found) throw new Error(`There is no container of ${name}.`)
    return found
  }
}
