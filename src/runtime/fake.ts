import {createHash} from 'node:crypto'
import {type Duplex, PassThrough, type Readable, Writable} from 'node:stream'
import type {PathStat} from '../contract/schemas/instances.ts'
import {type Clock, sleep} from '../platform/clock.ts'
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
} from './driver.ts'
import {packFake, statFake, unpackFake} from './fake-files.ts'
import {type FakeBehaviour, FakeHost, type FakeInstance} from './fake-host.ts'
import {fakeSnapshots, filesOfImage} from './fake-snapshots.ts'
import {padTime, timeOfNs} from './json-log.ts'
import {label} from './labels.ts'

export interface FakeOptions {
  serverId: string
  clock: Clock
  /** The machine that is simulated. Drivers that share one see the same containers. Default: one of its own. */
  host?: FakeHost
}

/** Runs nothing: a simulator of containers, for simulated fleets and for tests of what is above. */
export class FakeDriver implements RuntimeDriver {
  readonly name = 'fake'
  readonly facts: RuntimeFacts = {
    images: true,
    gpuVendors: ['nvidia', 'amd', 'fake'],
    enforcesMemory: true,
    enforcesCpus: true,
    volumes: true,
    splitsGpus: true,
  }
  readonly host: FakeHost
  readonly snapshots: RuntimeSnapshots
  readonly #serverId: string
  readonly #clock: Clock

  constructor({serverId, clock, host = new FakeHost({clock})}: FakeOptions) {
    this.#serverId = serverId
    this.#clock = clock
    this.host = host
    this.snapshots = fakeSnapshots(host, id => this.#mustFind(id))
  }

  async unavailable(): Promise<string | undefined> {
    return undefined
  }

  async ping(): Promise<void> {
    this.host.obey('ping')
  }

  async info(): Promise<RuntimeInfo> {
    this.host.obey('info')
    return {name: 'simulated', version: '0', cpus: 64, memoryMiB: 512 * 1024, os: 'simulated', architecture: 'x64'}
  }

  async list(): Promise<FoundContainer[]> {
    this.host.obey('list')
    return this.host
      .all()
      .filter(one => this.#isOurs(one))
      .map(describe)
  }

  async inspect(containerId: string): Promise<FoundContainer | undefined> {
    this.host.obey('inspect')
    const instance = this.#find(containerId)
    return instance && describe(instance)
  }

  async pull(image: string, onProgress: (percent: number | undefined) => void = () => {}): Promise<void> {
    this.host.obey('pull')
    if (this.host.isMissing(image))
      throw new RuntimeError('image_missing', `Image ${image} is not here and cannot be pulled.`)
    onProgress(100)
  }

  async create(spec: ContainerSpec): Promise<{containerId: string; warnings: string[]}> {
    this.host.obey('create')
    await this.pull(spec.image)
    const {createDelayMs} = this.host.behaviourOf(spec)
    if (createDelayMs > 0) await sleep(this.#clock, createDelayMs)
    const labels = {...spec.labels, [label.server]: this.#serverId}
    const files = filesOfImage(this.host, spec.image, spec.labels[label.instance])
    const standing = this.host.all().find(one => one.spec.name === spec.name)
    for (const {name} of spec.volumes ?? []) this.host.volumes.add(name)
    if (!standing)
      return {containerId: this.host.add({...spec, labels}, identity(this.#serverId, spec.name), files), warnings: []}
    const same = Object.entries(labels).every(([key, value]) => standing.spec.labels[key] === value)
    if (!same) throw new RuntimeError('name_taken', `The name ${spec.name} is held by another container.`)
    return {containerId: standing.containerId, warnings: []}
  }

  async start(containerId: string): Promise<void> {
    this.host.obey('start')
    this.host.start(this.#mustFind(containerId))
  }

  async stop(containerId: string, graceSeconds: number): Promise<void> {
    this.host.obey('stop')
    const instance = this.#find(containerId)
    if (instance?.state !== 'running') return
    if (!this.host.behaviourOf(instance.spec).ignoresTerm) return this.host.end(instance, 143)
    await sleep(this.#clock, graceSeconds * 1000)
    this.host.end(instance, 137)
  }

  async setLimits(containerId: string, limits: ContainerLimits): Promise<void> {
    this.host.obey('limits')
    const {spec} = this.#mustFind(containerId)
    if (limits.cpus !== undefined) spec.cpus = limits.cpus
    if (limits.memoryMiB !== undefined) spec.memoryMiB = limits.memoryMiB
  }

  async remove(containerId: string): Promise<void> {
    this.host.obey('remove')
    const instance = this.#find(containerId)
    if (!instance) return
    this.host.end(instance, 137)
    this.host.delete(instance)
  }

  async removeVolume(name: string): Promise<void> {
    this.host.obey('remove')
    if (this.host.all().some(({spec}) => spec.volumes?.some(volume => volume.name === name)))
      throw new RuntimeError('failed', `Volume ${name} is in use.`)
    this.host.volumes.delete(name)
  }

  async *logs(containerId: string, options: LogOptions, signal: AbortSignal): AsyncGenerator<LogChunk> {
    this.host.obey('logs')
    const instance = this.#mustFind(containerId)
    const {tail, sinceNs, untilNs} = options
    const since = sinceNs === undefined ? '' : timeOfNs(sinceNs)
    const until = untilNs === undefined ? 'z' : timeOfNs(untilNs)
    let next = tail === undefined ? 0 : Math.max(0, instance.output.length - tail)
    for (;;) {
      const ended = instance.state !== 'running'
      for (; next < instance.output.length; next++) {
        const line = instance.output[next]
        if (!line || line.time < since || line.time > until || !options[line.stream]) continue
        yield {stream: line.stream, data: Buffer.from(`${options.timestamps ? `${line.time} ` : ''}${line.text}\n`)}
      }
      if (!options.follow || ended || signal.aborted) return
      await this.host.changed(signal)
    }
  }

  async *stats(containerId: string, signal: AbortSignal): AsyncGenerator<ContainerStats> {
    this.host.obey('stats')
    const instance = this.#mustFind(containerId)
    while (instance.state === 'running') {
      await sleep(this.#clock, 1_000, signal).catch(() => undefined)
      if (signal.aborted || instance.state !== 'running') return
      yield simulatedStats(instance, this.host.behaviourOf(instance.spec), this.#clock.now())
    }
  }

  /** Gives back what it is given, and ends with the input; the code is GPUCTL_FAKE_EXIT_CODE of its environment, else 0. */
  async exec(containerId: string, spec: ExecSpec): Promise<ExecSession> {
    this.host.obey('exec')
    if (this.#mustFind(containerId).state !== 'running')
      throw new RuntimeError('failed', 'The container is not running.')
    const stdout = new PassThrough()
    const stderr = new PassThrough()
    const code = Number(spec.env?.GPUCTL_FAKE_EXIT_CODE ?? 0)
    let finish: (code: number) => void = () => {}
    const exited = new Promise<number>(resolve => {
      finish = resolve
    })
    const end = (exitCode: number) => {
      stdout.end()
      stderr.end()
      finish(exitCode)
    }
    const stdin = new Writable({
      write: (chunk, _, done) => void (stdout.write(chunk) ? done() : stdout.once('drain', done)),
      final: done => {
        end(code)
        done()
      },
    })
    if (!spec.stdin) stdin.end()
    return {
      stdin,
      stdout,
      stderr,
      exited,
      resize: async () => {},
      signal: async () => end(130),
      kill: async () => end(137),
    }
  }

  /** Every port gives back what it is given; port 1 is closed. */
  async dial(containerId: string, port: number): Promise<Duplex> {
    this.host.obey('dial')
    if (this.#mustFind(containerId).state !== 'running' || port === 1)
      throw new RuntimeError('port_closed', 'nothing listens there.')
    return new PassThrough()
  }

  async statPath(containerId: string, path: string): Promise<PathStat> {
    this.host.obey('files')
    return statFake(this.#mustFind(containerId).files, path)
  }

  async readArchive(containerId: string, path: string): Promise<{stat: PathStat; content: Readable}> {
    this.host.obey('files')
    return packFake(this.#mustFind(containerId).files, path)
  }

  async writeArchive(containerId: string, path: string, content: Readable): Promise<void> {
    this.host.obey('files')
    await unpackFake(this.#mustFind(containerId).files, path, content)
  }

  watch(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    this.host.obey('watch')
    return this.host.watch(id => this.#find(id) !== undefined || this.#wasOurs(id), signal)
  }

  /** The containers live on in their host. */
  async close(): Promise<void> {}

  #isOurs(instance: FakeInstance): boolean {
    return instance.spec.labels[label.server] === this.#serverId
  }

  #wasOurs(containerId: string): boolean {
    return this.host.serverOf(containerId) === this.#serverId
  }

  #find(containerId: string): FakeInstance | undefined {
    const instance = this.host.find(containerId)
    return instance && this.#isOurs(instance) ? instance : undefined
  }

  #mustFind(containerId: string): FakeInstance {
    const instance = this.#find(containerId)
    if (!instance) throw new RuntimeError('no_container', `There is no container ${containerId.slice(0, 80)} of ours.`)
    return instance
  }
}

function describe({
  containerId,
  spec,
  state,
  exitCode,
  createdAtMs,
  startedAtMs,
  finishedAtMs,
}: FakeInstance): FoundContainer {
  const time = (ms: number | undefined) => (ms === undefined ? '' : padTime(new Date(ms).toISOString()))
  return {
    containerId,
    name: spec.name,
    image: spec.image,
    labels: spec.labels,
    state,
    exitCode: state === 'exited' ? exitCode : null,
    oomKilled: false,
    createdAt: time(createdAtMs),
    startedAt: time(startedAtMs),
    ports: shownPorts(spec),
    finishedAt: state === 'exited' ? time(finishedAtMs) : '',
  }
}

/** As the engine would: where it chooses, the container's own number. */
function shownPorts({ports = []}: ContainerSpec): Record<string, string> {
  return Object.fromEntries(
    ports.map(({containerPort, hostPort, protocol}) => [
      `${containerPort}/${protocol}`,
      `0.0.0.0:${hostPort || containerPort}`,
    ]),
  )
}

function simulatedStats({spec}: FakeInstance, {cpuPercent}: FakeBehaviour, nowMs: number): ContainerStats {
  const limit = (spec.memoryMiB ?? 1024) * 1024 * 1024
  return {
    at: new Date(nowMs).toISOString(),
    cpuPercent,
    cpuPercentRaw: cpuPercent * (spec.cpus ?? 1),
    memoryUsageBytes: limit / 4,
    memoryLimitBytes: limit,
    memoryPercent: 25,
    networkRxBytes: 0,
    networkTxBytes: 0,
    blockReadBytes: 0,
    blockWriteBytes: 0,
    pids: 1,
  }
}

function identity(serverId: string, name: string): string {
  return createHash('sha256').update(`${serverId}\n${name}`).digest('hex')
}
