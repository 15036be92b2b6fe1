import type {Inference} from '../domain/inference.ts'
import type {ProxyOptions} from '../gateway/proxy/inference-proxy.ts'

export interface LoadedWhenUsed extends Inference {
  /** Figures in Prometheus' text form. */
  metrics(): Promise<string>
  close(): Promise<void>
}

/** The way to the runtimes; it and its HTTP client are loaded at the first call, because most servers start without one. */
export function inferenceWhenUsed(options: ProxyOptions): LoadedWhenUsed {
  let loading: Promise<import('../gateway/proxy/inference-proxy.ts').InferenceProxy> | undefined
  const load = () => {
    loading ??= import('../gateway/proxy/inference-proxy.ts').then(({InferenceProxy}) => new InferenceProxy(options))
    return loading
  }
  return {
    call: async request => (await load()).call(request),
    metrics: async () => (await load()).figures.registry.metrics(),
    close: async () => (await loading)?.close(),
  }
}
