import {UnreachableError} from '../client/api-error.ts'
import {readText, send} from '../client/transport.ts'
import type {GpuReading, HostSample} from '../metrics/collector.ts'
import {type Clock, sleep} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import {backoffMs} from '../platform/retry.ts'

/** Who the runtime is at the server; good until it says otherwise. */
export interface KeptRuntime {
  server: string
  port: number
  id: string
  token: string
}

export interface RuntimeReporterOptions {
  /** Base URL of the control server. */
  server: string
  /** Shows that the runtime is on this node. */
  nodeKey: string
  /** As registered: the runtime's OpenAI-compatible API listens at the next one. */
  port: number
  name: string
  version: string
  gpus: () => Promise<readonly GpuReading[]>
  host: {sample(): Promise<HostSample>}
  kept: {load(): Promise<KeptRuntime | undefined>; save(kept: KeptRuntime): Promise<void>}
  onState: (state: RuntimeReportState, detail: string) => void
  clock: Clock
  logger: Logger
  signal: AbortSignal
}

/** `waiting`: no runtime answers here, or the server did not take it; it is tried again. */
export type RuntimeReportState = 'registered' | 'reporting' | 'waiting'

interface FoundRuntime {
  models: string[]
  ready?: [number, number]
  initializing?: boolean
}

interface Answer {
  status: number
  body: Record<string, unknown>
  /** Of this machine, as the server sees it unless something translates between them. */
  localAddress: string
  retryAfterMs: number
}

const beatMs = 30_000
const beatTries = 3
const callMs = 10_000
/** Waiting after a failure: the server takes five registrations a minute. */
const backOff = {baseMs: 2_000, maxMs: 60_000}

class NotTaken extends Error {
  constructor(
    message: string,
    readonly afterMs = 0,
  ) {
    super(message)
    this.name = 'NotTaken'
  }
}

/** Nothing listens at the runtime's port: it ended, or starts again. */
class RuntimeGone extends NotTaken {}

/** What is told of one that ended, once: it is asked for nothing until it is there again. */
const gone: FoundRuntime = {models: [], initializing: true}

/**
 * Finds the inference runtime of this machine, registers it with the control server in the words of document 000, and
 * beats for it while it answers (wire.md 1.3 to 1.5). One that the server forgot registers again; of one that ended the
 * server hears at once.
 */
export class RuntimeReporter {
  readonly #options: RuntimeReporterOptions

  constructor(options: RuntimeReporterOptions) {
    this.#options = options
  }

  /** Resolves when the signal fires. */
  async run(): Promise<void> {
    const {clock, signal, logger, onState, kept} = this.#options
    let known = await this.#load()
    let isThere = false
    for (let failures = 0; !signal.aborted; ) {
      let waitMs = beatMs
      try {
        const found = await this.#findRuntime()
        if (!known) {
          known = await this.#register()
          await kept.save(known)
          onState('registered', known.id)
        }
        if (await this.#beat(known, found)) {
          failures = 0
          isThere = true
          onState('reporting', known.id)
        } else {
          known = undefined
          waitMs = backoffMs(failures++, backOff)
        }
      } catch (error) {
        if (signal.aborted) break
        const {message} = error as Error
        logger.debug({err: error}, 'the inference runtime was not reported')
        onState('waiting', message)
        if (error instanceof RuntimeGone && known && isThere) {
          isThere = false
          await this.#beat(known, gone).catch(() => undefined)
        }
        waitMs = Math.max(error instanceof NotTaken ? error.afterMs : 0, backoffMs(failures++, backOff))
      }
      await sleep(clock, waitMs, signal).catch(() => {})
    }
  }

  async #load(): Promise<KeptRuntime | undefined> {
    const {kept, server, port} = this.#options
    const known = await kept.load()
    return known?.server === server && known.port === port ? known : undefined
  }

  async #findRuntime(): Promise<FoundRuntime> {
    const apiPort = this.#options.port + 1
    const address = `http://127.0.0.1:${apiPort}`
    const nothing = `no inference runtime answers at ${address}/v1/models`
    const {status, body} = await this.#call(address, 'GET', '/v1/models').catch(error => {
      if (error instanceof UnreachableError) throw new (error.nothingSent ? RuntimeGone : NotTaken)(nothing)
      throw error
    })
    const items = Array.isArray(body) ? body : body.data
    const models = (Array.isArray(items) ? items : []).flatMap((item: {id?: unknown} | string | null) => {
      const id = typeof item === 'string' ? item : item?.id
      return typeof id === 'string' ? [id] : []
    })
    if (status !== 200 || models.length === 0) throw new NotTaken(nothing)
    const {ready_models: ready, initializing} = body as {ready_models?: [number, number]; initializing?: boolean}
    return {models, ready, initializing}
  }

  /** The server looks whether it reaches the runtime at the address from which this machine calls it. */
  async #register(): Promise<KeptRuntime> {
    const {server, nodeKey, port, name, version, gpus} = this.#options
    const {localAddress} = await this.#call(server, 'GET', '/gpuctl/v1/version')
    const devices = devicesOf(await gpus())
    if (devices.length === 0) throw new NotTaken('no GPU was found on this machine, and a runtime needs one')
    const body = {
      machine_name: name,
      ip_address: localAddress,
      runtime_version: version,
      runtime_port: port,
      gpu_available: true,
      gpu_devices: devices,
    }
    const answer = await this.#call(server, 'POST', '/v0/nodes', {body, headers: {authorization: `Bearer ${nodeKey}`}})
    const {runtime_id: id, runtime_token: token} = answer.body
    if (answer.status < 300 && typeof id === 'string' && typeof token === 'string') return {server, port, id, token}
    throw new NotTaken(refusal(answer, `http://${localAddress}:${port + 1}`), answer.retryAfterMs)
  }

  /** False when the server does not know the runtime, or not by this token. */
  async #beat({id, token}: KeptRuntime, found: FoundRuntime): Promise<boolean> {
    const {server, clock, signal} = this.#options
    const body = {runtime_id: id, ...(await this.#readings()), ...modelsOnWire(found)}
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.#call(server, 'POST', '/v0/health', {body, headers: {'x-node-token': token}})
        if (answer.status === 401 || answer.status === 404) return false
        if (answer.status >= 300) throw new NotTaken(refusal(answer, server), answer.retryAfterMs)
        return true
      } catch (error) {
        if (!(error instanceof UnreachableError) || attempt === beatTries) throw error
        await sleep(clock, 100 * attempt, signal)
      }
    }
  }

  async #readings(): Promise<Record<string, unknown>> {
    const [host, gpus] = await Promise.all([this.#options.host.sample(), this.#options.gpus()])
    const totalMb = sum(gpus.map(({memoryMiB}) => memoryMiB))
    const usedMb = sum(gpus.map(({memoryUsedMiB}) => memoryUsedMiB))
    const busy = gpus.flatMap(({utilizationPercent}) => utilizationPercent ?? [])
    const hottest = gpus.flatMap(({temperatureC}) => temperatureC ?? [])
    return {
      cpu_usage: host.cpuPercent ?? 0,
      memory_usage: host.memoryPercent,
      active_requests: 0,
      gpu_usage: busy.length > 0 ? busy.reduce((all, one) => all + one, 0) / busy.length : undefined,
      gpu_memory_usage: totalMb && usedMb !== undefined ? Math.min(100, (usedMb / totalMb) * 100) : undefined,
      gpu_memory_total_mb: totalMb,
      gpu_memory_used_mb: usedMb,
      gpu_temperature: hottest.length > 0 ? Math.max(...hottest) : undefined,
      gpu_model_name: gpus[0]?.model,
      gpu_compute_capability: gpus[0]?.computeCapability ?? undefined,
    }
  }

  async #call(
    server: string,
    method: string,
    path: string,
    {body, headers = {}}: {body?: unknown; headers?: Record<string, string>} = {},
  ): Promise<Answer> {
    const {signal} = this.#options
    const content = body === undefined ? undefined : JSON.stringify(body)
    const answer = await send({server}, {method, path, headers, body: content, timeoutMs: callMs, signal})
    const localAddress = (answer.socket.localAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
    const text = await readText({server}, answer)
    const retryAfterMs = Number(answer.headers['retry-after'] ?? 0) * 1000 || 0
    return {status: answer.statusCode ?? 0, body: readJson(text), localAddress, retryAfterMs}
  }
}

function modelsOnWire({models, ready, initializing}: FoundRuntime): Record<string, unknown> {
  return {loaded_models: models.slice(0, 1024), ready_models: ready, initializing}
}

function devicesOf(gpus: readonly GpuReading[]): {model: string; count: number; memory?: number}[] {
  const devices = new Map<string, {model: string; count: number; memory?: number}>()
  for (const {model, simulated, memoryMiB, parentUuid} of gpus) {
    // A slice is no device of its own here.
    if (parentUuid !== null) continue
    const name = simulated ? `${model} (simulated)` : model
    const known = devices.get(name)
    const memory = memoryMiB === null ? undefined : memoryMiB * 1024 * 1024
    devices.set(name, {model: name, count: (known?.count ?? 0) + 1, memory})
  }
  return [...devices.values()]
}

function refusal({status, body}: Answer, runtime: string): string {
  if (status === 502)
    return `the server cannot reach the runtime at ${runtime}: let it listen there, not on 127.0.0.1 alone`
  const {message, error} = body
  const said = typeof message === 'string' ? message : typeof error === 'string' ? error : ''
  return `the server answered ${status}: ${said}`
}

function sum(figures: readonly (number | null)[]): number | undefined {
  const known = figures.filter(figure => figure !== null)
  return known.length > 0 ? known.reduce((all, one) => all + one, 0) : undefined
}

function readJson(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}
