import type {Desired, DesiredInstance, InstanceReport} from '../contract/agent-protocol.ts'
import {type Clock, sleep} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import {WorkQueue} from '../platform/work-queue.ts'
import {type ContainerGpu, type FoundContainer, type RuntimeDriver, RuntimeError} from '../runtime/driver.ts'
import {label} from '../runtime/labels.ts'
import {containerSpec} from './container-spec.ts'
import {type AgentState, type AgentStateStore, emptyState, type InstanceRecord} from './instance-record.ts'
import {describeInstance} from './instance-report.ts'
import {nextStep, strays} from './plan.ts'

/** Instances that are worked on at once. */
const concurrency = 8
/** All containers are looked at again this often, events or not (reliability F16). */
const resyncMs = 30_000
/** A container of ours that nobody wants is left alone so long before it goes. */
const strayGraceMs = 45_000
/** Trouble of the engine itself, not of the request: the instance waits for the engine. */
const engineTrouble = new Set(['unreachable', 'timeout'])

export interface ReconcilerDependencies {
  nodeId: string
  driver: RuntimeDriver
  stateStore: AgentStateStore
  clock: Clock
  logger: Logger
  /** The devices behind the allocated indexes, as last read. */
  gpu: (index: number, uuid: string) => ContainerGpu
  onReport: (reports: InstanceReport[], complete: boolean) => void
  onRuntime: (state: 'ok' | 'degraded', reason: string) => void
}

/**
 * Makes the host run what the server wants: compares, takes one step, looks again. Every step may be repeated after a
 * crash, because what is begun is on disk before its effect, and containers have fixed names.
 */
export class Reconciler {
  readonly #deps: ReconcilerDependencies
  readonly #queue: WorkQueue<string>
  readonly #records = new Map<string, InstanceRecord>()
  readonly #found = new Map<string, FoundContainer>()
  readonly #pulls = new Map<string, {percent: number | null}>()
  readonly #strayingSince = new Map<string, number>()
  readonly #stopping = new AbortController()
  #desired: Desired | null = null
  #epochs: Record<string, number> = {}
  #confirmed = false
  #saving: Promise<void> = Promise.resolve()
  #watching: Promise<void> = Promise.resolve()
  #resync: {cancel(): void} | undefined

  constructor(deps: ReconcilerDependencies) {
    this.#deps = deps
    this.#queue = new WorkQueue<string>({
      concurrency,
      clock: deps.clock,
      retry: {baseMs: 500, maxMs: 15_000},
      reconcile: key => this.#reconcile(key),
      onError: (key, error) => deps.logger.warn({allocation: key, err: error}, 'instance not reconciled yet'),
    })
  }

  async start(): Promise<void> {
    const state = await this.#deps.stateStore.load()
    this.#desired = state.desired
    this.#epochs = state.epochs
    for (const record of state.records) this.#records.set(record.allocationId, record)
    this.#watching = this.#watch()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#resync?.cancel()
    await this.#queue.close()
    await this.#watching
    await this.#saving
  }

  get revision(): number {
    return this.#desired?.revision ?? 0
  }

  /** Takes a new wish of the server; resolves once it is on disk. Instances with an epoch below the highest known are left out. */
  async setDesired(desired: Desired): Promise<void> {
    const instances = desired.instances.filter(one => one.epoch >= (this.#epochs[one.claimId] ?? 0))
    const left = instances.length < desired.instances.length
    if (left) this.#deps.logger.warn({revision: desired.revision}, 'left out instances of an older epoch')
    const before = new Set(this.#desired?.instances.map(one => one.allocationId))
    this.#desired = {...desired, instances}
    this.#epochs = Object.fromEntries(instances.map(one => [one.claimId, one.epoch]))
    this.#confirmed = true
    for (const id of this.#records.keys()) {
      if (!instances.some(one => one.allocationId === id)) this.#records.delete(id)
    }
    await this.#save()
    for (const one of instances) {
      before.delete(one.allocationId)
      this.#queue.add(one.allocationId)
    }
  }

  /** Everything that is known, for a server that has just connected. */
  reportAll(): InstanceReport[] {
    return (this.#desired?.instances ?? []).map(one => this.#describe(one))
  }

  container(containerId: string): FoundContainer | undefined {
    return [...this.#found.values()].find(one => one.containerId === containerId)
  }

  /** Resolves when nothing is left to do now; for tests. */
  idle(): Promise<void> {
    return this.#queue.idle()
  }

  async #reconcile(allocationId: string): Promise<{afterMs: number} | undefined> {
    const wanted = this.#wanted(allocationId)
    if (!wanted) return undefined
    const record = this.#record(wanted)
    for (let steps = 0; steps < 6; steps++) {
      const found = await this.#look(allocationId, record)
      const step = nextStep(wanted, found, record)
      if (step === 'rest') break
      try {
        await this.#take(step, wanted, found, record)
      } catch (error) {
        if (error instanceof RuntimeError && engineTrouble.has(error.code)) {
          this.#deps.onRuntime('degraded', error.message)
          throw error
        }
        const {code, message} = error instanceof RuntimeError ? error : {code: 'failed', message: String(error)}
        this.#deps.logger.warn({allocation: allocationId, step, code, message}, 'instance failed')
        if (step === 'stop' || step === 'remove') throw error
        record.failed = {generation: wanted.generation, code, message}
        await this.#save()
      }
      this.#deps.onReport([this.#describe(wanted)], false)
      if (this.#wanted(allocationId) !== wanted) return {afterMs: 0}
    }
    this.#deps.onReport([this.#describe(wanted)], false)
    return undefined
  }

  async #take(
    step: 'create' | 'start' | 'stop' | 'remove',
    wanted: DesiredInstance,
    found: FoundContainer | undefined,
    record: InstanceRecord,
  ): Promise<void> {
    const {driver} = this.#deps
    if (step === 'create') {
      await this.#pull(wanted)
      const made = await driver.create(containerSpec(wanted, this.#deps))
      record.containerId = made.containerId
      record.warnings = made.warnings
      record.vanished = false
      await this.#save()
    } else if (step === 'start' && found) {
      record.begun = {generation: wanted.generation, startedAtBefore: found.startedAt}
      await this.#save()
      await driver.start(found.containerId)
    } else if (step === 'stop' && found) {
      await driver.stop(found.containerId, wanted.graceSeconds)
    } else if (step === 'remove' && found) {
      if (found.state === 'running') await driver.stop(found.containerId, wanted.graceSeconds)
      await driver.remove(found.containerId)
    }
  }

  async #pull(wanted: DesiredInstance): Promise<void> {
    const pull = {percent: null as number | null}
    this.#pulls.set(wanted.allocationId, pull)
    let told = -10
    try {
      await this.#deps.driver.pull(wanted.image, percent => {
        pull.percent = percent ?? null
        if (percent === undefined || percent - told < 5) return
        told = percent
        this.#deps.onReport([this.#describe(wanted)], false)
      })
    } finally {
      this.#pulls.delete(wanted.allocationId)
    }
  }

  /** The container as it is at this moment. One that was there and is not any more is remembered as vanished. */
  async #look(allocationId: string, record: InstanceRecord): Promise<FoundContainer | undefined> {
    const containerId = record.containerId || this.#found.get(allocationId)?.containerId
    if (!containerId) return undefined
    const found = await this.#deps.driver.inspect(containerId)
    if (found) {
      this.#found.set(allocationId, found)
      record.containerId = found.containerId
      record.vanished = false
    } else {
      this.#found.delete(allocationId)
      record.vanished = true
    }
    return found
  }

  /** Looks at all containers, then follows the engine's events; after a loss it begins again, with a growing pause. */
  async #watch(): Promise<void> {
    const {signal} = this.#stopping
    for (let failures = 0; !signal.aborted; ) {
      try {
        const events = this.#deps.driver.watch(signal)
        await this.#lookAtAll()
        this.#scheduleResync()
        failures = 0
        for await (const {containerId} of events) this.#wakeByContainer(containerId)
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        this.#deps.onRuntime('degraded', error instanceof Error ? error.message : String(error))
        this.#deps.logger.warn({err: error}, 'the container engine does not answer')
      }
      await sleep(this.#deps.clock, Math.min(10_000, 250 * 2 ** failures), signal).catch(() => {})
    }
  }

  async #lookAtAll(): Promise<void> {
    const known = new Set([...this.#records.values()].map(record => record.containerId))
    const list = await this.#deps.driver.list()
    this.#deps.onRuntime('ok', '')
    const listed = new Map(list.map(container => [container.labels[label.allocation] ?? container.name, container]))
    // What was created while the list was on its way is not in it, and is not lost.
    for (const [id, container] of this.#found) {
      if (!listed.has(id) && known.has(container.containerId)) this.#found.delete(id)
    }
    for (const [id, container] of listed) this.#found.set(id, container)
    for (const record of this.#records.values()) {
      if (known.has(record.containerId) && !listed.has(record.allocationId)) record.vanished = record.containerId !== ''
    }
    for (const one of this.#desired?.instances ?? []) this.#queue.add(one.allocationId)
    await this.#removeStrays(list)
    this.#deps.onReport(this.reportAll(), true)
  }

  /** Only once the server has spoken since this agent started: before that nobody knows what is unwanted. */
  async #removeStrays(list: FoundContainer[]): Promise<void> {
    if (!this.#confirmed) return
    const now = this.#deps.clock.monotonic()
    const unwanted = strays(this.#desired?.instances ?? [], list, one => one.labels[label.allocation] ?? '')
    const ids = new Set(unwanted.map(one => one.containerId))
    for (const id of this.#strayingSince.keys()) if (!ids.has(id)) this.#strayingSince.delete(id)
    for (const {containerId, name} of unwanted) {
      const since = this.#strayingSince.get(containerId) ?? now
      this.#strayingSince.set(containerId, since)
      if (now - since < strayGraceMs) continue
      this.#deps.logger.warn({container: name}, 'removing a container that nobody wants')
      await this.#deps.driver.remove(containerId)
    }
  }

  #scheduleResync(): void {
    this.#resync?.cancel()
    this.#resync = this.#deps.clock.setTimeout(() => {
      this.#lookAtAll().catch(error => this.#deps.onRuntime('degraded', String(error)))
      this.#scheduleResync()
    }, resyncMs)
  }

  #wakeByContainer(containerId: string): void {
    for (const record of this.#records.values()) {
      if (record.containerId === containerId) this.#queue.add(record.allocationId)
    }
  }

  #wanted(allocationId: string): DesiredInstance | undefined {
    return this.#desired?.instances.find(one => one.allocationId === allocationId)
  }

  #record({allocationId, claimId, epoch}: DesiredInstance): InstanceRecord {
    const known = this.#records.get(allocationId)
    if (known) return known
    const record: InstanceRecord = {allocationId, claimId, epoch, containerId: '', warnings: [], vanished: false}
    this.#records.set(allocationId, record)
    return record
  }

  #describe(wanted: DesiredInstance): InstanceReport {
    const id = wanted.allocationId
    return describeInstance(wanted, this.#found.get(id), this.#record(wanted), this.#pulls.get(id))
  }

  /** One write at a time, each with the state of its own moment. */
  #save(): Promise<void> {
    const state: AgentState = {
      ...emptyState(),
      desired: this.#desired,
      records: structuredClone([...this.#records.values()]),
      epochs: this.#epochs,
    }
    this.#saving = this.#saving.catch(() => {}).then(() => this.#deps.stateStore.save(state))
    return this.#saving
  }
}
