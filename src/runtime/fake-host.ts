import type {Clock, Timer} from '../platform/clock.ts'
import {
  type ContainerSpec,
  type ContainerState,
  type LogChunk,
  RuntimeError,
  type RuntimeErrorCode,
  type RuntimeEvent,
} from './driver.ts'
import type {FakeFile} from './fake-files.ts'
import {timeOfNs} from './json-log.ts'

/** What a simulated container does. */
export interface FakeBehaviour {
  createDelayMs: number
  /** Undefined: it runs until it is stopped. */
  exitAfterMs?: number
  exitCode: number
  /** Printed at its start, one line each. */
  stdout: string[]
  stderr: string[]
  ignoresTerm: boolean
  /** Of its limit. */
  cpuPercent: number
}

export interface FakeInstance {
  containerId: string
  spec: ContainerSpec
  state: ContainerState
  exitCode: number | null
  createdAtMs: number
  startedAtMs: number | undefined
  finishedAtMs: number | undefined
  /** Path → what is there. */
  files: Map<string, FakeFile>
  output: {stream: LogChunk['stream']; time: string; text: string}[]
  timer: Timer | undefined
}

export interface FakeSnapshot {
  imageId: string
  instanceId: string
  files: ReadonlyMap<string, FakeFile>
}

export type FakeCall =
  | 'ping'
  | 'info'
  | 'list'
  | 'inspect'
  | 'pull'
  | 'create'
  | 'start'
  | 'stop'
  | 'limits'
  | 'snapshots'
  | 'remove'
  | 'logs'
  | 'stats'
  | 'exec'
  | 'dial'
  | 'files'
  | 'watch'

export interface FakeHostOptions {
  clock: Clock
  /** Overrides what the container's environment asks for (GPUCTL_FAKE_EXIT_AFTER_MS, _EXIT_CODE, _STDOUT, _STDERR, _IGNORE_TERM). */
  behave?: (spec: ContainerSpec) => Partial<FakeBehaviour>
  /** Images that cannot be had. Default: those that begin with `missing`. */
  isMissing?: (image: string) => boolean
}

/** Lines that a container keeps. */
const mostOutput = 10_000
/** Events that a slow watcher may be behind. */
const mostEvents = 10_000

/** A simulated machine: containers in memory, and switches for its faults. */
export class FakeHost {
  /** Names of the volumes that were made and not removed. */
  readonly volumes = new Set<string>()
  /** What was kept of containers, by id. */
  readonly snapshots = new Map<string, FakeSnapshot>()
  /** Files of the images that were pushed, by their name. */
  readonly registry = new Map<string, FakeSnapshot['files']>()
  readonly #instances = new Map<string, FakeInstance>()
  readonly #servers = new Map<string, string>()
  readonly #failures = new Map<FakeCall, RuntimeErrorCode>()
  readonly #listeners = new Set<(event: RuntimeEvent) => void>()
  readonly #options: FakeHostOptions
  #lastNs = 0n

  constructor(options: FakeHostOptions) {
    this.#options = options
  }

  /** From now on `call` fails with `code`, or works again with undefined. */
  fail(call: FakeCall, code: RuntimeErrorCode | undefined): void {
    if (code) this.#failures.set(call, code)
    else this.#failures.delete(call)
  }

  obey(call: FakeCall): void {
    const code = this.#failures.get(call)
    if (code) throw new RuntimeError(code, `The simulated machine fails ${call} with ${code}.`)
  }

  isMissing(image: string): boolean {
    return this.#options.isMissing?.(image) ?? image.startsWith('missing')
  }

  behaviourOf(spec: ContainerSpec): FakeBehaviour {
    const {env} = spec
    const lines = (text: string | undefined) => (text ? text.split('\n') : [])
    const after = env.GPUCTL_FAKE_EXIT_AFTER_MS
    return {
      createDelayMs: 0,
      exitAfterMs: after === undefined ? undefined : Number(after),
      exitCode: Number(env.GPUCTL_FAKE_EXIT_CODE ?? 0),
      stdout: lines(env.GPUCTL_FAKE_STDOUT),
      stderr: lines(env.GPUCTL_FAKE_STDERR),
      ignoresTerm: env.GPUCTL_FAKE_IGNORE_TERM === '1',
      cpuPercent: 50,
      ...this.#options.behave?.(spec),
    }
  }

  all(): FakeInstance[] {
    return [...this.#instances.values()]
  }

  find(containerId: string): FakeInstance | undefined {
    return this.#instances.get(containerId)
  }

  /** Also of one that was removed. */
  serverOf(containerId: string): string | undefined {
    return this.#servers.get(containerId)
  }

  add(spec: ContainerSpec, containerId: string, files: ReadonlyMap<string, FakeFile> = new Map()): string {
    const server = spec.labels['gpuctl.server'] ?? ''
    const createdAtMs = this.#options.clock.now()
    const fresh = {
      createdAtMs,
      state: 'created',
      exitCode: null,
      startedAtMs: undefined,
      finishedAtMs: undefined,
    } as const
    this.#instances.set(containerId, {containerId, spec, ...fresh, output: [], files: new Map(files), timer: undefined})
    this.#servers.set(containerId, server)
    this.#tell({containerId, kind: 'changed'})
    return containerId
  }

  start(instance: FakeInstance): void {
    if (instance.state === 'running') return
    const {stdout, stderr, exitAfterMs, exitCode} = this.behaviourOf(instance.spec)
    instance.state = 'running'
    instance.startedAtMs = this.#options.clock.now()
    for (const text of stdout) this.print(instance.containerId, 'stdout', text)
    for (const text of stderr) this.print(instance.containerId, 'stderr', text)
    this.#tell({containerId: instance.containerId, kind: 'started'})
    if (exitAfterMs === undefined) return
    instance.timer = this.#options.clock.setTimeout(() => this.end(instance, exitCode), exitAfterMs, {unref: true})
  }

  /** A line of output. */
  print(containerId: string, stream: LogChunk['stream'], text: string): void {
    const instance = this.#instances.get(containerId)
    if (!instance) return
    const now = BigInt(Math.floor(this.#options.clock.now())) * 1_000_000n
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n
    instance.output.push({stream, time: timeOfNs(this.#lastNs), text})
    if (instance.output.length > mostOutput) instance.output.shift()
    this.#tell({containerId, kind: 'changed'})
  }

  end(instance: FakeInstance, exitCode: number): void {
    if (instance.state !== 'running') return
    instance.timer?.cancel()
    instance.state = 'exited'
    instance.exitCode = exitCode
    instance.finishedAtMs = this.#options.clock.now()
    this.#tell({containerId: instance.containerId, kind: 'exited'})
  }

  delete({containerId}: FakeInstance): void {
    this.#instances.delete(containerId)
    this.#tell({containerId, kind: 'removed'})
    this.#servers.delete(containerId)
  }

  /** Resolves at the next change of any container, or when the signal fires. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        this.#listeners.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#listeners.add(done)
      signal.addEventListener('abort', done, {once: true})
      if (signal.aborted) done()
    })
  }

  /** Listens from the call on, not from the first read. */
  watch(isWanted: (containerId: string) => boolean, signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const waiting: RuntimeEvent[] = []
    let wake = () => {}
    let overrun = false
    const listen = (event: RuntimeEvent) => {
      if (!isWanted(event.containerId)) return
      overrun ||= waiting.length >= mostEvents
      if (!overrun) waiting.push(event)
      wake()
    }
    this.#listeners.add(listen)
    signal.addEventListener('abort', () => {
      this.#listeners.delete(listen)
      wake()
    })
    const host = this
    return (async function* () {
      try {
        while (!signal.aborted) {
          const event = waiting.shift()
          if (event) yield event
          else if (overrun) throw new RuntimeError('failed', 'The watcher is too slow.')
          else {
            await new Promise<void>(resolve => {
              wake = resolve
            })
            host.obey('watch')
          }
        }
      } finally {
        host.#listeners.delete(listen)
      }
    })()
  }

  #tell(event: RuntimeEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }
}
