import {createHash} from 'node:crypto'
import type {GpuCollector, GpuReading, GpuSample} from './collector.ts'
import type {FakeGpu} from './fake-gpus.ts'

export interface FakeCollectorOptions {
  gpus: readonly FakeGpu[]
  /** Tells this node's simulated cards from another's: the same seed gives the same uuids after a restart. */
  nodeSeed: string
  /** Milliseconds since 1970. */
  now: () => number
}

/**
 * Simulated GPUs, marked `simulated` in every reading. Their figures are those of an idle card and move gently with the clock,
 * the same at the same time, so that stats have something to show and placement still sees a free card.
 */
export class FakeCollector implements GpuCollector {
  readonly vendor = 'fake'
  readonly #gpus: readonly FakeGpu[]
  readonly #seed: string
  readonly #now: () => number

  constructor({gpus, nodeSeed, now}: FakeCollectorOptions) {
    this.#gpus = gpus
    const plain = /^[A-Za-z0-9.-]{1,40}$/.test(nodeSeed)
    this.#seed = plain ? nodeSeed : createHash('sha256').update(nodeSeed).digest('hex').slice(0, 12)
    this.#now = now
  }

  async unavailable(): Promise<undefined> {}

  async sample(): Promise<GpuSample> {
    const gpus = this.#gpus.map((gpu, index) => this.#read(gpu, index))
    return {state: 'ok', reason: '', driverVersion: null, gpus}
  }

  async close(): Promise<void> {}

  #read({model, memoryMiB, computeCapability}: FakeGpu, index: number): GpuReading {
    // Two minutes a wave, and each card a little later than the one before it.
    const wave = (Math.sin((this.#now() / 120_000) * 2 * Math.PI + index * 0.7) + 1) / 2
    return {
      index,
      uuid: `FAKE-${this.#seed}-${index}`,
      vendor: 'fake',
      model,
      memoryMiB,
      memoryUsedMiB: Math.round(memoryMiB * (0.01 + 0.02 * wave)),
      utilizationPercent: Math.round(2 + 5 * wave),
      temperatureC: Math.round(34 + 6 * wave),
      powerW: Math.round((28 + 14 * wave) * 100) / 100,
      computeCapability,
      devicePaths: [],
      parentUuid: null,
      simulated: true,
    }
  }
}
