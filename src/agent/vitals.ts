import {randomUUID} from 'node:crypto'
import type {Inventory} from '../contract/agent-protocol.ts'
import type {Beat} from '../contract/schemas/nodes.ts'
import type {GpuCollector, GpuSample, HostSample} from '../metrics/collector.ts'
import type {Logger} from '../platform/logger.ts'
import {type ContainerGpu, type RuntimeDriver, RuntimeError, type RuntimeInfo} from '../runtime/driver.ts'
import {describeInventory, gpuOnWire} from './inventory.ts'

/** Whether the container engine answers, and if not, why. */
export interface RuntimeHealth {
  state: 'ok' | 'degraded' | 'unknown'
  reason: string
}

export interface VitalsDependencies {
  driver: RuntimeDriver
  /** Undefined: a machine without GPUs. */
  gpus: GpuCollector | undefined
  host: {sample(): Promise<HostSample>}
  logger: Logger
  version: string
}

/** What this machine is and how it fares, as last measured. */
export class Vitals {
  readonly bootId: string = randomUUID()
  readonly #deps: VitalsDependencies
  #sequence = 0
  #gpus: GpuSample = {state: 'ok', reason: '', driverVersion: null, gpus: []}
  #host: HostSample | undefined
  #engine: RuntimeInfo | undefined

  constructor(deps: VitalsDependencies) {
    this.#deps = deps
  }

  /** True when devices came or went. What cannot be measured keeps its last figures; never rejects. */
  async measure(): Promise<boolean> {
    const {gpus, host, logger} = this.#deps
    const [hostSample, gpuSample] = await Promise.allSettled([host.sample(), gpus?.sample()])
    if (hostSample.status === 'fulfilled') this.#host = hostSample.value
    else logger.warn({err: hostSample.reason}, 'the host could not be measured')
    if (gpuSample.status === 'rejected') {
      logger.warn({err: gpuSample.reason}, 'the GPUs could not be measured')
      return false
    }
    const sample = gpuSample.value
    if (!sample) return false
    const before = this.#gpus
    // A lost driver shows no cards; they are still in the machine.
    this.#gpus = sample.state === 'lost' ? {...sample, gpus: before.gpus} : sample
    return identities(before) !== identities(this.#gpus)
  }

  /** An engine that is known to be away is not asked, since that can take 10 s. */
  async inventory(isEngineUp: boolean): Promise<Inventory> {
    const {driver, version} = this.#deps
    if (isEngineUp) this.#engine = await driver.info().catch(() => this.#engine)
    return describeInventory({driver, engine: this.#engine, host: this.#host, gpus: this.#gpus.gpus, version})
  }

  beat(runtime: RuntimeHealth): Beat {
    return {bootId: this.bootId, sequence: this.#sequence++, ...this.readings(runtime)}
  }

  /** As last measured. */
  readings(runtime: RuntimeHealth): Omit<Beat, 'bootId' | 'sequence'> {
    const host = this.#host
    const {state, reason, gpus} = this.#gpus
    return {
      cpuPercent: host?.cpuPercent ?? null,
      memoryTotalMiB: host?.memoryTotalMiB ?? null,
      memoryUsedMiB: host?.memoryUsedMiB ?? null,
      diskPercent: host?.diskPercent ?? null,
      load1: host?.load1 ?? null,
      uptimeSeconds: host?.uptimeSeconds ?? null,
      networkRxBytes: host?.networkRxBytes ?? null,
      networkTxBytes: host?.networkTxBytes ?? null,
      gpuState: state === 'lost' ? 'lost' : gpus.length === 0 ? 'none' : 'ok',
      gpuReason: reason.slice(0, 512),
      gpus: gpus.map(gpuOnWire),
      runtimeState: runtime.state,
      runtimeReason: runtime.reason.slice(0, 512),
    }
  }

  /** The device that the server booked. Another card at its index is not it. */
  gpu(index: number, uuid: string): ContainerGpu {
    const gpu = this.#gpus.gpus.find(one => (uuid === '' ? one.index === index : one.uuid === uuid))
    if (!gpu) throw new RuntimeError('gpu_unavailable', `GPU ${index} (${uuid}) is not in this machine.`)
    return {index: gpu.index, uuid: gpu.uuid, vendor: gpu.vendor, devicePaths: gpu.devicePaths}
  }
}

function identities({gpus}: GpuSample): string {
  return gpus.map(gpu => `${gpu.index} ${gpu.uuid}`).join()
}
