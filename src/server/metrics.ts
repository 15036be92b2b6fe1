import {Counter, collectDefaultMetrics, Gauge, Registry} from 'prom-client'

export interface MetricsRegistry {
  metrics(): Promise<string>
}

interface ServerFigures {
  /** Requests that are over, by HTTP status. */
  requests: ReadonlyMap<number, number>
  openStreams: () => number
}

/** The figures of the process and of its HTTP side, in a registry of their own. */
export function serverMetrics({requests, openStreams}: ServerFigures): Registry {
  const registry = new Registry()
  collectDefaultMetrics({register: registry})
  new Gauge({
    name: 'gpuctl_open_streams',
    help: 'Event streams and terminals that are open.',
    registers: [registry],
    collect() {
      this.set(openStreams())
    },
  })
  new Counter({
    name: 'gpuctl_http_requests_total',
    help: 'HTTP requests since the start, by status.',
    labelNames: ['status'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [status, count] of requests) this.inc({status: String(status)}, count)
    },
  })
  return registry
}
