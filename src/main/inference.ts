import type {Inference} from '../domain/inference.ts'
import {readSetting} from '../domain/server-settings.ts'
import type {Services} from '../domain/services/services.ts'
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

/** The setting as it is now: read at the start and whenever somebody sets one, so that no call waits for the store. */
export async function followRequestsPerRuntime(
  events: Pick<Services['events'], 'subscribe'>,
  from: Parameters<typeof readSetting>[1],
): Promise<() => number> {
  let most = 1
  const read = async () => {
    most = Number((await readSetting('inference.requests_per_runtime', from)).value)
  }
  await read()
  events.subscribe(({kind, type}) => {
    // What cannot be read stays as it was until it is set again.
    if (kind === 'server' && type === 'Configured') void read().catch(() => undefined)
  })
  return () => most
}
