import type {Desired, DesiredInstance, InstanceReport, MountedSite} from '../contract/agent-protocol.ts'
import {type Clock, sleep} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import {WorkQueue} from '../platform/work-queue.ts'
import {
  type ContainerGpu,
  type ContainerLimits,
  type ContainerSpec,
  type FoundContainer,
  type RuntimeDriver,
  RuntimeError,
} from '../runtime/driver.ts'
import {label} from '../runtime/labels.ts'
import {containerSpec} from './container-spec.ts'
import {EngineWatch} from './engine-watch.ts'
import {EpochFence} from './epoch-fence.ts'
import {ImagePulls} from './image-pulls.ts'
import type {AgentStateStore, InstanceRecord} from './instance-record.ts'
import {describeInstance} from './instance-report.ts'
import {isReplacing, nextStep, restoreOf, type Step, strays} from './plan.ts'
import {Removal} from './removal.ts'
import {StrayRemoval} from './stray-removal.ts'

/** Instances that are worked on at once; one that is being stopped holds its place for its grace. */
const concurrency = 32
/** More steps in a row than any way from one state to another has. */
const mostSteps = 6
const stopWithinMs = 5_000
/** Trouble of the engine itself, not of the request: the instance waits for the engine. */
const engineTrouble = new Set(['unreachable', 'timeout'])

function limitsOf({cpus, memoryMiB}: DesiredInstance): ContainerLimits {
  return {cpus, memoryMiB}
}

/** Trouble of the agent's own disk: no fault of the instance, which waits. */
class StateNotSaved extends Error {
  override readonly name = 'StateNotSaved'
}

export interface ReconcilerDependencies {
  nodeId: string
  driver: RuntimeDriver
  stateStore: AgentStateStore
  clock: Clock
  logger: Logger
  /** The device behind an allocated index. Throws RuntimeError when it is not there. */
  gpu: (index: number, uuid: string) => ContainerGpu
  /** The folders of volumes of this machine. Throws RuntimeError when one is not there. */
  siteFolders: (sites: readonly MountedSite[]) => Promise<NonNullable<ContainerSpec['folders']>>
  onReport: (reports: InstanceReport[], complete: boolean) => void
  onVolumesGone: (names: string[]) => void
  onRuntime: (state: 'ok' | 'degraded', reason: string) => void
}

/**
 * Makes the host run what the server wants: compares, takes one step, looks again. Every step may be repeated after a
 * crash, because what is begun is on disk before its effect, and containers have fixed names.
 */
export class Reconciler {
  readonly #deps: ReconcilerDependencies
  readonly #queue: WorkQueue<string>
  readonly #engine: EngineWatch
  readonly #pulls: ImagePulls
  readonly #strays: StrayRemoval
  readonly #volumes: Removal
  readonly #fence = new EpochFence()
  readonly #records = new Map<string, InstanceRecord>()
  /** By allocation, all containers of this node as last seen. */
  readonly #found = new Map<string, FoundContainer>()
  readonly #working = new Set<string>()
  /** Creations and starts that the engine was asked for and has not answered yet. */
  readonly #beginnings = new Set<Promise<unknown>>()
  /** Allocations that were worked on since the last list was asked for: it may be older than what is known of them. */
  #newerThanList = new Set<string>()
  #wanted = new Map<string, DesiredInstance>()
  #desired: Desired | null = null
  #answered = 0
  #hasListed = false
  /** Before the server has spoken to this process nobody knows what is unwanted. */
  #hasSpoken = false
  #saving: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(deps: ReconcilerDependencies) {
    const {driver, clock, logger, onRuntime} = deps
    this.#deps = deps
    this.#queue = new WorkQueue<string>({
      concurrency,
      clock,
      retry: {baseMs: 500, maxMs: 15_000},
      reconcile: id => this.#reconcile(id),
      onError: (id, error) => logger.warn({allocation: id, err: error}, 'instance not reconciled yet'),
    })
    this.#engine = new EngineWatch({
      driver,
      clock,
      logger,
      onState: onRuntime,
      beforeList: () => {
        this.#newerThanList = new Set(this.#working)
      },
      onList: list => this.#takeList(list.filter(one => one.labels[label.node] === deps.nodeId)),
      onChange: containerId => this.#wakeByContainer(containerId),
    })
    this.#pulls = new ImagePulls({driver, onProgress: id => this.#report(id), onEnd: id => this.#queue.add(id)})
    this.#strays = new StrayRemoval({driver, clock, logger})
    this.#volumes = new Removal({
      ...{clock, logger},
      remove: name => driver.removeVolume(name),
      onGone: name => deps.onVolumesGone([name]),
    })
  }

  async start(): Promise<void> {
    const state = await this.#deps.stateStore.load()
    this.#fence.load(state.epochs)
    for (const record of state.records) this.#records.set(record.allocationId, record)
    if (state.desired) this.#want(state.desired, state.desired.instances)
    this.#answered = this.storedRevision
    this.#engine.start()
  }

  /** Waits a little for what is under way; what is left goes on at the next start, as after a crash. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#engine.stop()
    const done = new AbortController()
    const work = Promise.all([this.#queue.close(), this.#volumes.close()])
    await Promise.race([work, sleep(this.#deps.clock, stopWithinMs, done.signal).catch(() => {})])
    done.abort()
    await this.#saving.catch(() => {})
  }

  get storedRevision(): number {
    return this.#desired?.revision ?? 0
  }

  /** The wish that reports answer: nothing is under way any more that an older one began. */
  get answeredRevision(): number {
    return this.#answered
  }

  /** Takes a new wish of the server; resolves once it is on disk. What would start an epoch below the highest known is left out. */
  async setDesired(desired: Desired): Promise<void> {
    if (desired.nodeId !== this.#deps.nodeId) throw new Error('This wish is for another node.')
    const admitted = this.#fence.admit(desired.instances)
    if (admitted.length < desired.instances.length)
      this.#deps.logger.warn({revision: desired.revision}, 'left out instances of an older epoch')
    const before = this.#wanted
    this.#want(desired, admitted)
    this.#hasSpoken = true
    for (const id of this.#records.keys()) if (!this.#wanted.has(id)) this.#records.delete(id)
    this.#pulls.keep(id => this.#wanted.get(id)?.state === 'running')
    await this.#save()
    this.#raiseAnswered(desired.revision)
    for (const id of this.#wanted.keys()) this.#queue.add(id)
    this.#volumes.want(desired.goingVolumes ?? [])
    const isDropped = [...before.keys()].some(id => !this.#wanted.has(id))
    if (desired.isLast) await this.#strays.removeNow([...this.#found.values()])
    else if (isDropped) this.#engine.look().catch(error => this.#engine.lost(error)) // the grace of the strays begins
  }

  /** Everything that is known, for a server that has just connected; undefined while the engine has not shown its containers. */
  reportAll(): InstanceReport[] | undefined {
    return this.#hasListed ? [...this.#wanted.values()].map(one => this.#describe(one)) : undefined
  }

  /** The server's wish is known, so that what is not in a report is not there. */
  get isComplete(): boolean {
    return this.#desired !== null
  }

  /** Indexes of the cards that the server gave to somebody, used or not. */
  heldGpus(): Set<number> {
    const held = [...this.#wanted.values()].filter(({state}) => state !== 'removed')
    return new Set(held.flatMap(({gpus}) => gpus.map(({index}) => index)))
  }

  checkEngine(): Promise<void> {
    return this.#engine.check()
  }

  /** Resolves when nothing is left to do now; for tests. */
  async idle(): Promise<void> {
    await this.#queue.idle()
    await this.#pulls.idle()
    await this.#queue.idle()
    await this.#volumes.idle()
  }

  #want(desired: Desired, instances: DesiredInstance[]): void {
    this.#desired = {...desired, instances}
    this.#wanted = new Map(instances.map(one => [one.allocationId, one]))
  }

  /** A start under an older wish may still end well, and must not be told as the answer to the newer one. */
  #raiseAnswered(revision: number): void {
    if (this.#beginnings.size === 0) {
      this.#answered = revision
      return
    }
    void Promise.allSettled(this.#beginnings).then(() => {
      if (this.storedRevision < revision) return
      this.#answered = revision
      this.#reportAllKnown()
    })
  }

  async #reconcile(id: string): Promise<{afterMs: number} | undefined> {
    const wanted = this.#wanted.get(id)
    if (!wanted || !this.#hasListed) return undefined // the first list wakes all
    const record = this.#recordOf(wanted)
    this.#working.add(id)
    this.#newerThanList.add(id)
    try {
      for (let steps = 0; steps < mostSteps; steps++) {
        const found = await this.#look(wanted, record)
        if (this.#stopped || this.#wanted.get(id) !== wanted) return undefined // the new wish has woken it
        const step = nextStep(wanted, found, record)
        const isAtRest = step === 'rest' || !(await this.#try(step, wanted, found, record))
        this.#report(id)
        if (isAtRest) return undefined
      }
      return {afterMs: 1_000}
    } finally {
      this.#working.delete(id)
    }
  }

  /** False: there is nothing more to do now. */
  async #try(step: Step, wanted: DesiredInstance, found: FoundContainer | undefined, record: InstanceRecord) {
    try {
      // A snapshot is on this machine or nowhere.
      const needsPull = step === 'create' && !wanted.restored
      if (needsPull && !this.#pulls.isDone(wanted.allocationId, wanted.image)) return false
      if (step === 'create' || step === 'start') await this.#begin(step, wanted, found, record)
      else await this.#take(step, wanted, found, record)
    } catch (error) {
      if (error instanceof StateNotSaved) throw error
      const {code, message} = error instanceof RuntimeError ? error : {code: 'failed', message: String(error)}
      if (engineTrouble.has(code)) this.#engine.lost(error)
      if (engineTrouble.has(code) || (step !== 'create' && step !== 'start')) throw error
      this.#deps.logger.warn({allocation: wanted.allocationId, step, code, message}, 'instance failed')
      if (isReplacing(step, wanted, found, record)) this.#rollBack(wanted, record, message)
      else record.failed = {generation: wanted.generation, code, message}
      await this.#save()
    }
    return true
  }

  /** The container before the restore is the instance again, and is started as if it had never been stopped. */
  #rollBack({restored, generation}: DesiredInstance, record: InstanceRecord, message: string): void {
    record.refusedRestore = {count: restored?.count ?? 0, message}
    record.begun = {generation: generation - 1, startedAtBefore: ''}
    if (!record.spare) return
    ;[record.containerId, record.spare] = [record.spare, record.containerId]
    record.limits = undefined // told to the other container, if at all
  }

  /** Over when what came of it has been seen: a report in between must not tell of what was there before. */
  async #begin(step: Step, wanted: DesiredInstance, found: FoundContainer | undefined, record: InstanceRecord) {
    const work = this.#take(step, wanted, found, record).then(() => this.#look(wanted, record))
    this.#beginnings.add(work)
    await work.finally(() => this.#beginnings.delete(work))
  }

  async #take(step: Step, wanted: DesiredInstance, found: FoundContainer | undefined, record: InstanceRecord) {
    const {driver} = this.#deps
    if (step === 'create') {
      const folders = await this.#deps.siteFolders(wanted.sites ?? [])
      const made = await driver.create(containerSpec(wanted, this.#deps, folders))
      if (found && found.containerId !== made.containerId) record.spare = found.containerId
      record.containerId = made.containerId
      record.warnings = made.warnings
      record.limits = limitsOf(wanted)
      record.vanished = false
      await this.#save()
    }
    if (step === 'discard' && record.spare) {
      await driver.remove(record.spare)
      record.spare = undefined
      await this.#save()
    }
    if (!found) return
    if (step === 'limit') {
      record.limits = {...limitsOf(wanted), ...(await this.#limit(found, wanted))}
      await this.#save()
    }
    if (step === 'start') {
      // After a start of the machine its volumes may not stand yet, and the container would write beneath them.
      await this.#deps.siteFolders(wanted.sites ?? [])
      record.begun = {generation: wanted.generation, startedAtBefore: found.startedAt}
      await this.#save()
      await driver.start(found.containerId)
    }
    if (step === 'stop' || (step === 'remove' && found.state === 'running'))
      await driver.stop(found.containerId, wanted.graceSeconds)
    if (step === 'remove') await driver.remove(found.containerId)
  }

  /** A runtime that would not have them lets the instance run as it did. */
  async #limit({containerId}: FoundContainer, wanted: DesiredInstance): Promise<{refused?: string}> {
    const {driver} = this.#deps
    if (!driver.setLimits) return {refused: `The runtime ${driver.name} holds nobody to limits.`}
    try {
      await driver.setLimits(containerId, limitsOf(wanted))
      return {}
    } catch (error) {
      if (!(error instanceof RuntimeError) || engineTrouble.has(error.code)) throw error
      return {refused: `The limits stay as they were: ${error.message}`}
    }
  }

  /** The container as it is at this moment. One that was there and is not any more is remembered as vanished. */
  async #look(wanted: DesiredInstance, record: InstanceRecord): Promise<FoundContainer | undefined> {
    const id = wanted.allocationId
    const containerId = record.containerId || this.#found.get(id)?.containerId
    if (!containerId) return undefined
    const found = await this.#deps.driver.inspect(containerId)
    record.containerId = containerId
    record.vanished = !found
    if (!found) this.#found.delete(id)
    else this.#found.set(id, found)
    if (found && found.state !== 'created' && !record.begun) {
      // Adopted: somebody started it before we remember. A later generation is then a start of its own.
      record.begun = {generation: wanted.generation, startedAtBefore: ''}
      await this.#save()
    }
    return found
  }

  async #takeList(list: FoundContainer[]): Promise<void> {
    const listed = this.#standing(list)
    const isNewer = (id: string) => this.#newerThanList.has(id)
    for (const id of this.#found.keys()) if (!listed.has(id) && !isNewer(id)) this.#found.delete(id)
    for (const [id, container] of listed) if (!isNewer(id)) this.#found.set(id, container)
    for (const [id, record] of this.#records) {
      if (record.containerId && !isNewer(id)) record.vanished = !listed.has(id)
    }
    this.#hasListed = true
    this.#reportAllKnown()
    for (const id of this.#wanted.keys()) this.#queue.add(id)
    if (!this.#hasSpoken) return
    const spares = new Set([...this.#records.values()].map(({spare}) => spare))
    const others = list.filter(one => ![...listed.values()].includes(one) && !spares.has(one.containerId))
    await this.#strays.remove([...strays([...this.#wanted.keys()], listed), ...others])
  }

  /** By allocation. Of two, in the middle of a restore, the one that is remembered, else the newer one. */
  #standing(list: readonly FoundContainer[]): Map<string, FoundContainer> {
    const standing = new Map<string, FoundContainer>()
    for (const one of list) {
      const id = one.labels[label.allocation] ?? one.name
      const other = standing.get(id)
      const {containerId} = this.#records.get(id) ?? {}
      const isNewer = other && other.containerId !== containerId && restoreOf(one) > restoreOf(other)
      if (!other || one.containerId === containerId || isNewer) standing.set(id, one)
    }
    return standing
  }

  #wakeByContainer(containerId: string): void {
    for (const [id, found] of this.#found) if (found.containerId === containerId) this.#queue.add(id)
    for (const [id, record] of this.#records) if (record.containerId === containerId) this.#queue.add(id)
  }

  #recordOf({allocationId, claimId, epoch}: DesiredInstance): InstanceRecord {
    const known = this.#records.get(allocationId)
    if (known) return known
    const record: InstanceRecord = {allocationId, claimId, epoch, containerId: '', warnings: [], vanished: false}
    this.#records.set(allocationId, record)
    return record
  }

  #describe(wanted: DesiredInstance): InstanceReport {
    const id = wanted.allocationId
    return describeInstance(wanted, this.#found.get(id), this.#recordOf(wanted), this.#pulls.progress(id))
  }

  #report(id: string): void {
    const wanted = this.#wanted.get(id)
    if (wanted) this.#deps.onReport([this.#describe(wanted)], false)
  }

  #reportAllKnown(): void {
    const all = this.reportAll()
    if (all) this.#deps.onReport(all, this.isComplete)
  }

  /** One write at a time, each with the state of its own moment. */
  #save(): Promise<void> {
    const records = structuredClone([...this.#records.values()])
    const state = {desired: this.#desired, records, epochs: this.#fence.save()}
    this.#saving = this.#saving
      .catch(() => {})
      .then(() => this.#deps.stateStore.save(state))
      .catch(error => {
        throw new StateNotSaved("The agent's state could not be saved.", {cause: error})
      })
    return this.#saving
  }
}
