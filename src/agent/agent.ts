import type {Desired, InstanceReport, Report} from '../contract/agent-protocol.ts'
import type {Diagnosis} from '../contract/finding.ts'
import type {AgentMetrics, Beat} from '../contract/schemas/nodes.ts'
import type {Clock} from '../platform/clock.ts'
import type {ContainerGpu, RuntimeDriver} from '../runtime/driver.ts'
import type {StorageHost} from '../storage/host.ts'
import type {AgentStateStore} from './instance-record.ts'
import {describeMetrics} from './metrics.ts'
import {Reconciler} from './reconciler.ts'
import {ReportQueue} from './report-queue.ts'
import {siteFolders} from './site-folders.ts'
import {Snapshots} from './snapshots.ts'
import {type RuntimeHealth, Vitals, type VitalsDependencies} from './vitals.ts'

export interface AgentDependencies extends VitalsDependencies {
  nodeId: string
  stateStore: AgentStateStore
  clock: Clock
  /** Absent where the machine's storage is out of reach, as of an agentless node. */
  storage?: StorageHost
  /** Looks at the machine itself; absent where there is none but an engine. */
  examine?: () => Promise<Diagnosis[]>
  /** Between two beats; 10 s unless given. */
  beatMs?: number
}

/**
 * The work of a node, apart from how the server reaches it: keeps the instances as the server wants them, measures, and
 * tells. A lost link stops nothing.
 */
export class Agent {
  readonly #deps: AgentDependencies
  readonly #reconciler: Reconciler
  readonly #vitals: Vitals
  readonly snapshots: Snapshots
  readonly #listeners = new Set<ReportQueue>()
  #beats: {cancel(): void} | undefined
  #stopped = false
  #runtime: RuntimeHealth = {state: 'unknown', reason: ''}

  constructor(deps: AgentDependencies) {
    this.#deps = deps
    this.#vitals = new Vitals(deps)
    this.snapshots = new Snapshots({...deps, onGone: name => this.#tell({type: 'snapshots', gone: [name]})})
    this.#reconciler = new Reconciler({
      ...deps,
      gpu: (index, uuid) => this.#vitals.gpu(index, uuid),
      siteFolders: sites => siteFolders(deps.storage, sites),
      onReport: (instances, complete) => this.#tell(this.#instances(instances, complete)),
      onVolumesGone: gone => this.#tell({type: 'volumes', gone}),
      onRuntime: (state, reason) => this.#setRuntime({state, reason}),
    })
  }

  async start(): Promise<void> {
    await this.#vitals.measure()
    await this.#reconciler.start()
    void this.#restoreStorage()
    this.#scheduleBeat()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#beats?.cancel()
    await this.#reconciler.stop()
    void this.snapshots.close() // what is left is wanted gone again after the next start
    await this.#deps.gpus?.close()
    await this.#deps.driver.close()
  }

  /** Nobody waits for it: a disk that is broken must not keep the machine from its work. */
  async #restoreStorage(): Promise<void> {
    const failures = await this.#deps.storage?.restore().catch(error => [(error as Error).message])
    for (const reason of failures ?? []) this.#deps.logger.warn({reason}, 'A storage pool is not in its place')
  }

  get driver(): RuntimeDriver {
    return this.#deps.driver
  }

  get storage(): StorageHost | undefined {
    return this.#deps.storage
  }

  get clock(): Clock {
    return this.#deps.clock
  }

  get runtime(): RuntimeHealth {
    return this.#runtime
  }

  async setDesired(desired: Desired): Promise<void> {
    await this.#reconciler.setDesired(desired)
    this.snapshots.wantGone(desired.goingSnapshots ?? [])
  }

  /** What the agent finds on its machine now, with the repairs that it offers. */
  async examine(): Promise<Diagnosis[]> {
    return (await this.#deps.examine?.()) ?? []
  }

  /** As last measured, in the words of document 004. `others`: cards that were given away beside what the server wants. */
  metrics(nodeId: string, others: ReadonlySet<number> = new Set()): AgentMetrics {
    const held = this.#reconciler.heldGpus()
    const isAllocated = (index: number) => held.has(index) || others.has(index)
    return describeMetrics(this.#vitals.readings(this.#runtime), {nodeId, isAllocated})
  }

  /** Whether the cards could be read when that was last tried. */
  get gpuHealth(): Pick<Beat, 'gpuState' | 'gpuReason'> {
    return this.#vitals.readings(this.#runtime)
  }

  /** The card at this index, for a container. Throws RuntimeError. */
  gpu(index: number): ContainerGpu {
    return this.#vitals.gpu(index, '')
  }

  /** Resolves when nothing is left to do now; for tests. */
  async idle(): Promise<void> {
    await this.#reconciler.idle()
    await this.snapshots.idle()
  }

  /** Everything that a server which has just connected must know, then what changes, until the signal fires. */
  async *reports(signal: AbortSignal): AsyncGenerator<Report> {
    const queue = new ReportQueue()
    const stop = () => queue.close()
    signal.addEventListener('abort', stop)
    this.#listeners.add(queue)
    try {
      const inventory = await this.#vitals.inventory(this.#runtime.state !== 'degraded')
      const {storedRevision} = this.#reconciler
      yield {type: 'hello', bootId: this.#vitals.bootId, inventory, desiredRevision: storedRevision}
      queue.push(this.#beat())
      const instances = this.#reconciler.reportAll()
      if (instances) queue.push(this.#instances(instances, this.#reconciler.isComplete))
      while (!signal.aborted) {
        yield* queue.take()
        await queue.wait()
      }
    } finally {
      this.#listeners.delete(queue)
      signal.removeEventListener('abort', stop)
    }
  }

  #instances(instances: InstanceReport[], complete: boolean): Report {
    return {type: 'instances', complete, desiredRevision: this.#reconciler.answeredRevision, instances}
  }

  #beat(): Report {
    return {type: 'beat', beat: this.#vitals.beat(this.#runtime)}
  }

  #setRuntime(runtime: RuntimeHealth): void {
    const before = this.#runtime
    if (before.state === runtime.state && before.reason === runtime.reason) return
    this.#runtime = runtime
    this.#tell(this.#beat())
    // An engine that came back may be another version, on a machine that never could name it.
    if (runtime.state === 'ok' && before.state === 'degraded') void this.#tellInventory()
  }

  #tell(report: Report): void {
    for (const queue of this.#listeners) queue.push(report)
  }

  async #tellInventory(): Promise<void> {
    if (this.#listeners.size === 0) return
    this.#tell({type: 'inventory', inventory: await this.#vitals.inventory(this.#runtime.state !== 'degraded')})
  }

  #scheduleBeat(): void {
    this.#beats = this.#deps.clock.setTimeout(() => void this.#onBeat(), this.#deps.beatMs ?? 10_000)
  }

  async #onBeat(): Promise<void> {
    const [isNewInventory] = await Promise.all([this.#vitals.measure(), this.#reconciler.checkEngine()])
    if (this.#stopped) return
    this.#tell(this.#beat())
    if (isNewInventory) await this.#tellInventory()
    if (!this.#stopped) this.#scheduleBeat()
  }
}
