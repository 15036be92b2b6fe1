import {Counter, Gauge, Histogram, Registry} from 'prom-client'

/** Names of models come from runtimes; beyond so many they are counted together. */
const mostModels = 200

/** Figures of the calls of models. No key, no user and nothing of a prompt is a label (security T33). */
export class ProxyFigures {
  readonly registry = new Registry()
  readonly #models = new Set<string>()
  readonly #requests = new Counter({
    name: 'gpuctl_inference_requests_total',
    help: 'Calls of models that are over, by model and what came of them.',
    labelNames: ['model', 'outcome'],
    registers: [this.registry],
  })
  readonly #firstByte = new Histogram({
    name: 'gpuctl_inference_first_byte_seconds',
    help: 'Time from the sending of a request to a runtime to the first byte of its answer.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [this.registry],
  })

  constructor({inFlight, queued}: {inFlight: () => number; queued: () => number}) {
    const gauges = {
      gpuctl_inference_in_flight: ['Calls of models that a runtime works at.', inFlight],
      gpuctl_inference_queued: ['Calls of models that wait for a runtime.', queued],
    } as const
    for (const [name, [help, read]] of Object.entries(gauges)) {
      new Gauge({
        ...{name, help, registers: [this.registry]},
        collect() {
          this.set(read())
        },
      })
    }
  }

  firstByte(ms: number): void {
    this.#firstByte.observe(ms / 1000)
  }

  /** `outcome` is an HTTP status or the code of a failure; without a model where none that is known was asked for. */
  over(model: string | undefined, outcome: string): void {
    if (model !== undefined && this.#models.size < mostModels) this.#models.add(model)
    const label = model === undefined ? '' : this.#models.has(model) ? model : 'other'
    this.#requests.inc({model: label, outcome})
  }
}
