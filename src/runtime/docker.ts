import type {Duplex, Readable} from 'node:stream'
import {setTimeout as delay} from 'node:timers/promises'
import type Dockerode from 'dockerode'
import type {ContainerInspectInfo} from 'dockerode'
import type {PathStat} from '../contract/schemas/instances.ts'
import {readArchive, statPath, writeArchive} from './docker-archive.ts'
import {PortDialler} from './docker-dial.ts'
import {type DockerAddress, DockerEngine, deadlineMs, pieces} from './docker-engine.ts'
import {engineStatus} from './docker-errors.ts'
import {watchContainers} from './docker-events.ts'
import {openExec} from './docker-exec.ts'
import {JsonLineReader} from './docker-frames.ts'
import {checkImageReference, pullImage} from './docker-images.ts'
import {limitContainer} from './docker-limits.ts'
import {readLogs} from './docker-logs.ts'
import {dockerSnapshots, refuseForeign} from './docker-snapshots.ts'
import {createOptions} from './docker-spec.ts'
import {coreLimit, hasPast, isAfterTheEnd, readStats, type StatsFrame} from './docker-stats.ts'
import {findTemplate, importTemplate, removeTemplate} from './docker-templates.ts'
import {
  type ContainerLimits,
  type ContainerSpec,
  type ContainerStats,
  type ExecSession,
  type ExecSpec,
  type FoundContainer,
  type LogChunk,
  type LogOptions,
  type RuntimeDriver,
  RuntimeError,
  type RuntimeEvent,
  type RuntimeFacts,
  type RuntimeInfo,
  type RuntimeSnapshots,
  type RuntimeTemplates,
} from './driver.ts'
import {padTime} from './json-log.ts'
import {label} from './labels.ts'
import {loginsFolder} from './registry-logins.ts'

export type DockerOptions = DockerAddress & {
  /** Only containers with this in their label gpuctl.server are ours. */
  serverId: string
  /** Where several nodes share an engine: only those of this node are ours. */
  nodeId?: string
  /** Folder of what `docker login` kept; that of who runs this unless given. */
  logins?: string
}

/** Parallel looks at containers, for `list`. */
const parallelInspects = 8

/** Runs containers on a Docker Engine (API 1.41 or newer). */
export class DockerDriver implements RuntimeDriver {
  readonly name = 'docker'
  readonly facts: RuntimeFacts = {
    images: true,
    gpuVendors: ['nvidia', 'amd', 'fake'],
    enforcesMemory: true,
    enforcesCpus: true,
    volumes: true,
    splitsGpus: true,
  }
  readonly #engine: DockerEngine
  readonly templates: RuntimeTemplates
  readonly snapshots: RuntimeSnapshots
  readonly #ours: Record<string, string>
  readonly #dialler: PortDialler
  readonly #logins: string

  constructor({serverId, nodeId, logins = loginsFolder(), ...address}: DockerOptions) {
    this.#engine = new DockerEngine(address)
    this.#logins = logins
    const engine = this.#engine
    this.templates = {
      import: (file, image, signal) => importTemplate(engine, file, image, signal),
      find: image => findTemplate(engine, image),
      remove: image => removeTemplate(engine, image),
    }
    this.#dialler = new PortDialler({engineIsHere: this.#engine.socketPath !== undefined})
    this.#ours = {[label.server]: serverId, ...(nodeId ? {[label.node]: nodeId} : {})}
    this.snapshots = dockerSnapshots({engine, ours: this.#ours, look: id => this.#mustLook(id), logins})
  }

  async unavailable(): Promise<string | undefined> {
    return this.ping().then(
      () => undefined,
      (error: Error) => error.message,
    )
  }

  async ping(): Promise<void> {
    await this.#engine.call('Asking the engine', docker => docker.ping(), deadlineMs.ping)
  }

  async info(): Promise<RuntimeInfo> {
    const info = await this.#engine.call('Asking about the engine', docker => docker.info())
    return {
      name: info.Name,
      version: info.ServerVersion,
      cpus: info.NCPU,
      memoryMiB: Math.floor(info.MemTotal / 1024 / 1024),
      os: info.OperatingSystem,
      architecture: info.Architecture,
    }
  }

  async list(): Promise<FoundContainer[]> {
    const filters = {label: Object.entries(this.#ours).map(([key, value]) => `${key}=${value}`)}
    const listed = await this.#engine.call('Listing containers', (docker, abortSignal) =>
      docker.listContainers({all: true, filters, abortSignal}),
    )
    const found: FoundContainer[] = []
    for (let at = 0; at < listed.length; at += parallelInspects) {
      const some = listed.slice(at, at + parallelInspects).map(({Id}) => this.inspect(Id))
      for (const container of await Promise.all(some)) if (container) found.push(container)
    }
    return found
  }

  async inspect(containerId: string): Promise<FoundContainer | undefined> {
    const info = await this.#look(containerId)
    return info && describe(info)
  }

  pull(
    image: string,
    onProgress: (percent: number | undefined) => void = () => {},
    signal?: AbortSignal,
  ): Promise<void> {
    return pullImage(this.#engine, image, {onProgress, logins: this.#logins, cut: signal})
  }

  async create(spec: ContainerSpec): Promise<{containerId: string; warnings: string[]}> {
    try {
      return await this.#create(spec)
    } catch (error) {
      if (spec.systemDiskGiB === undefined || !isStorageLimitRefused(error)) throw error
      const made = await this.#create({...spec, systemDiskGiB: undefined})
      return {...made, warnings: [...made.warnings, unlimitedDisk(spec.systemDiskGiB)]}
    }
  }

  async #create(spec: ContainerSpec): Promise<{containerId: string; warnings: string[]}> {
    checkImageReference(spec.image)
    await refuseForeign(this.#engine, spec.image, spec.labels)
    const labels = {...spec.labels, ...this.#ours}
    const options = createOptions(spec, labels, this.#engine.socketPath !== undefined)
    const deadline = performance.now() + deadlineMs.create
    for (;;) {
      try {
        const made = await this.#engine.call(
          `Creating ${spec.name}`,
          async (docker, abortSignal) => {
            const container = await docker.createContainer({...options, abortSignal})
            return container as typeof container & {Warnings?: string[]; warnings?: string[]}
          },
          Math.max(1, deadline - performance.now()),
        )
        return {containerId: made.id, warnings: made.Warnings ?? []}
      } catch (error) {
        if (!(error instanceof RuntimeError) || error.code !== 'name_taken') throw error
        const standing = await this.#adopt(spec.name, labels)
        if (standing) return {containerId: standing.Id, warnings: warningsOfStanding(standing, spec)}
        if (performance.now() > deadline) throw error
        await delay(100) // the name is held by one that is on its way in or out
      }
    }
  }

  async start(containerId: string): Promise<void> {
    await this.#mustLook(containerId)
    try {
      await this.#settle('Starting the container', [304], (docker, abortSignal) =>
        docker.getContainer(containerId).start({abortSignal}),
      )
    } catch (error) {
      // What could not get its GPU stays "created" for ever, and would hold its name.
      if (error instanceof RuntimeError && error.code === 'gpu_unavailable') await this.remove(containerId)
      throw error
    }
  }

  async stop(containerId: string, graceSeconds: number): Promise<void> {
    if (!(await this.#look(containerId))) return
    const limitMs = graceSeconds * 1000 + deadlineMs.call
    await this.#settle(
      'Stopping the container',
      [304, 404],
      (docker, abortSignal) => docker.getContainer(containerId).stop({t: graceSeconds, abortSignal}),
      limitMs,
    )
  }

  async setLimits(containerId: string, limits: ContainerLimits): Promise<void> {
    await limitContainer(this.#engine, await this.#mustLook(containerId), limits)
  }

  async remove(containerId: string): Promise<void> {
    if (!(await this.#look(containerId))) return
    // As long as a create may take: the engine deletes the container's files meanwhile.
    const deadline = performance.now() + deadlineMs.create
    await this.#settle(
      'Removing the container',
      [404, 409],
      (docker, abortSignal) => docker.getContainer(containerId).remove({force: true, v: true, abortSignal}),
      deadlineMs.create,
    )
    while (await this.#look(containerId)) {
      if (performance.now() > deadline) throw new RuntimeError('timeout', 'The container was not removed in time.')
      await delay(50) // 409: somebody else's removal is under way
    }
  }

  async removeVolume(name: string): Promise<void> {
    if (!/^[A-Za-z0-9][\w.-]{0,254}$/.test(name)) return // it goes into a path
    const volume = await this.#engine.call('Looking at the volume', docker =>
      docker
        .getVolume(name)
        .inspect()
        .catch(error => {
          if (engineStatus(error) !== 404) throw error
        }),
    )
    const isOurs = Object.entries(this.#ours).every(([key, value]) => volume?.Labels?.[key] === value)
    if (!volume || !isOurs) return
    const remove = (docker: Dockerode) => docker.getVolume(name).remove()
    await this.#settle('Removing the volume', [404], remove, deadlineMs.create)
  }

  async *logs(containerId: string, options: LogOptions, signal: AbortSignal): AsyncGenerator<LogChunk> {
    yield* readLogs(this.#engine, await this.#mustLook(containerId), options, signal)
  }

  async *stats(containerId: string, signal: AbortSignal): AsyncGenerator<ContainerStats> {
    const info = await this.#mustLook(containerId)
    if (!info.State.Running) return
    const doing = 'Reading statistics'
    const request = {path: `/containers/${info.Id}/stats`, query: {stream: true}}
    const stream = await this.#engine.stream(doing, request, signal)
    const reader = new JsonLineReader()
    for await (const piece of pieces(stream, doing, signal)) {
      for (const frame of reader.read(piece) as StatsFrame[]) {
        if (isAfterTheEnd(frame)) return
        if (hasPast(frame)) yield readStats(frame, coreLimit(info))
      }
    }
  }

  async exec(containerId: string, spec: ExecSpec): Promise<ExecSession> {
    const {Id} = await this.#mustLook(containerId)
    return openExec(this.#engine, Id, spec)
  }

  async dial(containerId: string, port: number): Promise<Duplex> {
    return this.#dialler.dial(await this.#mustLook(containerId), port, spec => this.exec(containerId, spec))
  }

  async statPath(containerId: string, path: string): Promise<PathStat> {
    return statPath(this.#engine, (await this.#mustLook(containerId)).Id, path)
  }

  async readArchive(
    containerId: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{stat: PathStat; content: Readable}> {
    return readArchive(this.#engine, (await this.#mustLook(containerId)).Id, path, signal)
  }

  async writeArchive(containerId: string, path: string, content: Readable): Promise<void> {
    await writeArchive(this.#engine, (await this.#mustLook(containerId)).Id, path, content)
  }

  watch(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const labels = Object.entries(this.#ours).map(([key, value]) => `${key}=${value}`)
    return watchContainers(this.#engine, labels, signal)
  }

  async close(): Promise<void> {
    this.#dialler.close()
    this.#engine.close()
  }

  /** Undefined also for a container that is not ours: it does not exist for us. */
  async #look(nameOrId: string): Promise<ContainerInspectInfo | undefined> {
    const info = await this.#inspectAny(nameOrId)
    return info && hasLabels(info, this.#ours) ? info : undefined
  }

  async #mustLook(containerId: string): Promise<ContainerInspectInfo> {
    const info = await this.#look(containerId)
    if (!info) throw new RuntimeError('no_container', `There is no container ${containerId.slice(0, 80)} of ours.`)
    return info
  }

  async #inspectAny(nameOrId: string): Promise<ContainerInspectInfo | undefined> {
    if (!/^[A-Za-z0-9][\w.-]{0,254}$/.test(nameOrId)) return undefined // it goes into a path
    try {
      return await this.#engine.call('Looking at the container', (docker, abortSignal) =>
        docker.getContainer(nameOrId).inspect({abortSignal}),
      )
    } catch (error) {
      if (error instanceof RuntimeError && error.code === 'no_container') return undefined
      throw error
    }
  }

  /** The container of that name if it is the one that we wanted to make (reliability F5). */
  async #adopt(name: string, labels: Record<string, string>): Promise<ContainerInspectInfo | undefined> {
    const info = await this.#inspectAny(name)
    if (!info) return undefined
    if (hasLabels(info, labels)) return info
    throw new RuntimeError('name_taken', `The name ${name} is held by a container that is not this one.`)
  }

  /** A call for which some refusals mean that things are as wanted. */
  async #settle(doing: string, settled: number[], work: Parameters<DockerEngine['call']>[1], limitMs?: number) {
    await this.#engine.call(
      doing,
      (docker, signal) =>
        work(docker, signal).catch(error => {
          if (!settled.includes(engineStatus(error) ?? 0)) throw error
        }),
      limitMs,
    )
  }
}

function hasLabels({Config}: ContainerInspectInfo, labels: Record<string, string>): boolean {
  return Object.entries(labels).every(([key, value]) => Config.Labels?.[key] === value)
}

function describe({Id, Name, Config, State, Created, NetworkSettings}: ContainerInspectInfo): FoundContainer {
  const time = (text: string) => (text.startsWith('0001-') ? '' : text)
  const startedAt = time(State.StartedAt)
  // A quick process can be over before the engine has noted its start, with milliseconds turned round.
  const ended = time(State.FinishedAt)
  const finishedAt = ended && startedAt && padTime(ended) < padTime(startedAt) ? startedAt : ended
  const state = State.Status === 'created' ? 'created' : State.Running || State.Restarting ? 'running' : 'exited'
  return {
    containerId: Id,
    name: Name.replace(/^\//, ''),
    image: Config.Image,
    labels: Config.Labels ?? {},
    state,
    exitCode: state === 'exited' ? State.ExitCode : null,
    oomKilled: State.OOMKilled,
    createdAt: Created,
    startedAt,
    finishedAt: state === 'exited' ? finishedAt : '',
    ...(state === 'running' && ended ? {previousEndedAt: ended} : {}),
    ports: shownPorts(NetworkSettings?.Ports ?? {}),
  }
}

/** The storage of most engines cannot limit a container; measured words of overlay2 on ext4 and of others. */
function isStorageLimitRefused(error: unknown): boolean {
  return error instanceof RuntimeError && /storage-opt|pquota|unknown option|storage driver/i.test(error.message)
}

function unlimitedDisk(gib: number): string {
  return `The system disk is not limited to ${gib} GiB: the storage of this Docker Engine cannot.`
}

/** One that was made before a crash has had its warnings then. */
function warningsOfStanding({HostConfig}: ContainerInspectInfo, {systemDiskGiB}: ContainerSpec): string[] {
  const isLimited = systemDiskGiB === undefined || HostConfig.StorageOpt?.size !== undefined
  return isLimited ? [] : [unlimitedDisk(systemDiskGiB)]
}

/** The first address of each; the engine shows IPv4 and IPv6 apart. */
function shownPorts(ports: ContainerInspectInfo['NetworkSettings']['Ports']): Record<string, string> {
  const shown: Record<string, string> = {}
  for (const [name, bound] of Object.entries(ports)) {
    const first = bound?.[0]
    if (first) shown[name] = `${first.HostIp}:${first.HostPort}`
  }
  return shown
}
