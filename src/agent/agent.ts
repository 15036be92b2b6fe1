import {randomUUID} from 'node:crypto'
import type {Desired, InstanceReport, Report} from '../contract/agent-protocol.ts'
import type {Beat} from '../contract/schemas/nodes.ts'
import type {GpuCollector, GpuSample, HostSample} from '../metrics/collector.ts'
import type {Clock} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import type {ContainerGpu, RuntimeDriver} from '../runtime/driver.ts'
import type {AgentStateStore} from './instance-record.ts'
import {gpuOnWire, takeInventory} from './inventory.ts'
import {Reconciler} from './reconciler.ts'

export interface AgentDependencies {
  nodeId: string
  driver: RuntimeDriver
  /** Undefined: a machine without GPUs. */
  gpus: GpuCollector | undefined
  host: {sample(): Promise<HostSample>}
  stateStore: AgentStateStore
  clock: Clock
  logger: Logger
  version: string
  /** Between two beats; 10 s unless given. */
  beatMs?: number
}

/** Reports that wait for a link that is slow to take them; older ones are dropped, because a complete one follows. */
const maxQueuedReports = 1_000

/**
 * The work of a node, apart from how the server reaches it: keeps the instances as the server wants them, measures, and
 * tells. A lost link stops nothing.
 */
export class Agent {
  readonly #deps: AgentDependencies
  readonly #reconciler: Reconciler
  readonly #listeners = new Set<(report: Report) => void>()
  readonly bootId: string = randomUUID()
  #sequence = 0
  #beats: {cancel(): void} | undefined
  #stopped = false
  #runtime: {state: 'ok' | 'degraded' | 'unknown'; reason: string} = {state: 'unknown', reason: ''}
  #gpuSample: GpuSample = {state: 'ok', reason: '', driverVersion: null, gpus: []}
  #hostSample: HostSample | undefined

  constructor(deps: AgentDependencies) {
    this.#deps = deps
    this.#reconciler = new Reconciler({
      ...deps,
      gpu: (index, uuid) => this.#gpu(index, uuid),
      onReport: (instances, complete) => this.#tellInstances(instances, complete),
      onRuntime: (state, reason) => this.#setRuntime(state, reason),
    })
  }

  async start(): Promise<void> {
    await this.#measure()
    await this.#reconciler.start()
    this.#scheduleBeat()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#beats?.cancel()
    await this.#reconciler.stop()
    await this.#deps.gpus?.close()
    await this.#deps.driver.close()
  }

  get driver(): RuntimeDriver {
    return this.#deps.driver
  }

  get runtime(): {state: string; reason: string} {
    return this.#runtime
  }

  setDesired(desired: Desired): Promise<void> {
    return this.#reconciler.setDesired(desired)
  }

  idle(): Promise<void> {
    return this.#reconciler.idle()
  }

  /** Everything that a server which has just connected must know, then what changes, until the signal fires. */
  async *reports(signal: AbortSignal): AsyncGenerator<Report> {
    const queue: Report[] = []
    let wake = () => {}
    const listener = (report: Report) => {
      queue.push(report)
      if (queue.length > maxQueuedReports) queue.shift()
      wake()
    }
    const stop = () => wake()
    signal.addEventListener('abort', stop)
    this.#listeners.add(listener)
    try {
      yield await this.#hello()
      yield {type: 'beat', beat: this.#beat()}
      yield this.#instances(this.#reconciler.reportAll(), true)
      while (!signal.aborted) {
        for (let next = queue.shift(); next; next = queue.shift()) yield next
        if (signal.aborted) break
        await new Promise<void>(resolve => {
          wake = resolve
          if (queue.length || signal.aborted) resolve()
        })
      }
    } finally {
      this.#listeners.delete(listener)
      signal.removeEventListener('abort', stop)
    }
  }

  async #hello(): Promise<Report> {
    const host = this.#hostSample ?? (await this.#deps.host.sample())
    const inventory = await takeInventory(this.#deps.driver, this.#gpuSample, host, this.#deps.version)
    return {type: 'hello', bootId: this.bootId, inventory, desiredRevision: this.#reconciler.revision}
  }

  #instances(instances: InstanceReport[], complete: boolean): Report {
    return {type: 'instances', complete, desiredRevision: this.#reconciler.revision, instances}
  }

  #beat(): Beat {
    const host = this.#hostSample
    const gpus = this.#gpuSample
    return {
      bootId: this.bootId,
      sequence: this.#sequence++,
      cpuPercent: host?.cpuPercent ?? null,
      memoryTotalMiB: host?.memoryTotalMiB ?? null,
      memoryUsedMiB: host?.memoryUsedMiB ?? null,
      diskPercent: host?.diskPercent ?? null,
      load1: host?.load1 ?? null,
      uptimeSeconds: host?.uptimeSeconds ?? null,
      networkRxBytes: host?.networkRxBytes ?? null,
      networkTxBytes: host?.networkTxBytes ?? null,
      gpuState: gpus.state === 'lost' ? 'lost' : gpus.gpus.length === 0 ? 'none' : 'ok',
      gpuReason: gpus.reason.slice(0, 512),
      gpus: gpus.gpus.map(gpuOnWire),
      runtimeState: this.#runtime.state,
      runtimeReason: this.#runtime.reason.slice(0, 512),
    }
  }

  #gpu(index: number, uuid: string): ContainerGpu {
    const gpu =
      this.#gpuSample.gpus.find(one => one.uuid === uuid) ?? this.#gpuSample.gpus.find(one => one.index === index)
    return {index, uuid, vendor: gpu?.vendor ?? 'nvidia', devicePaths: gpu?.devicePaths ?? []}
  }

  #tellInstances(instances: InstanceReport[], complete: boolean): void {
    this.#tell(this.#instances(instances, complete))
  }

  #setRuntime(state: 'ok' | 'degraded', reason: string): void {
    if (this.#runtime.state === state && this.#runtime.reason === reason) return
    this.#runtime = {state, reason}
    this.#tell({type: 'beat', beat: this.#beat()})
  }

  #tell(report: Report): void {
    for (const listener of this.#listeners) listener(report)
  }

  #scheduleBeat(): void {
    this.#beats = this.#deps.clock.setTimeout(() => {
      void this.#measure().finally(() => {
        if (this.#stopped) return
        this.#tell({type: 'beat', beat: this.#beat()})
        this.#scheduleBeat()
      })
    }, this.#deps.beatMs ?? 10_000)
  }

  /** Devices that come or go make a new inventory; a lost driver keeps the last known list. */
  async #measure(): Promise<void> {
    const before = this.#gpuSample
    try {
      this.#hostSample = await this.#deps.host.sample()
      const sample = await this.#deps.gpus?.sample()
      if (sample) this.#gpuSample = sample.state === 'lost' ? {...sample, gpus: before.gpus} : sample
    } catch (error) {
      this.#deps.logger.warn({err: error}, 'the host could not be measured')
    }
    const uuids = (sample: GpuSample) => sample.gpus.map(gpu => gpu.uuid).join()
    if (before.gpus.length && uuids(before) !== uuids(this.#gpuSample)) {
      const hello = await this.#hello()
      if (hello.type === 'hello') this.#tell({type: 'inventory', inventory: hello.inventory})
    }
  }
}
