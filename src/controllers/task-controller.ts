import {openTarget} from '../domain/backup-target.ts'
import {problem} from '../domain/errors.ts'
import type {AgentPort} from '../domain/ports.ts'
import type {TaskRecord} from '../domain/records.ts'
import {
  failureOf,
  isOver,
  isPassing,
  progressAt,
  type Recipe,
  type Step,
  type StepRun,
  withStep,
} from '../domain/task.ts'
import {sleep, type Timer} from '../platform/clock.ts'
import {type Requeue, WorkQueue} from '../platform/work-queue.ts'
import type {ControllerDependencies} from './dependencies.ts'

/** Taking back gets so much time beyond the deadline (invariant I5). */
const undoMs = 45_000
/** Between two tries of what a node that is away has to take back. */
const undoAgainMs = 1_000
const linesKept = 1_000
const retry = {baseMs: 500, maxMs: 15_000}
/** Of what waits for a node. */
const lookAgainMs = 5_000

/**
 * Does the tasks, each by its recipe's steps: look, do, look again, write down. What was running when the server died is
 * run again from the first look of its step; when a step is refused, the cancel comes or the time is over, what was done
 * is taken back, last step first. Key: task id.
 */
export class TaskController {
  readonly #deps: ControllerDependencies
  readonly #wakeNode: (nodeId: string) => void
  readonly #queue: WorkQueue<string>
  /** Of the tasks that run at this moment. */
  readonly #running = new Map<string, AbortController>()
  readonly #closing = new AbortController()

  constructor(deps: ControllerDependencies, {wakeNode}: {wakeNode: (nodeId: string) => void}) {
    this.#deps = deps
    this.#wakeNode = wakeNode
    this.#queue = new WorkQueue<string>({
      reconcile: id => this.#reconcile(id),
      concurrency: 32,
      clock: deps.clock,
      retry,
      onError: (key, error) => deps.onError('task', key, error),
    })
  }

  async start(): Promise<void> {
    for (const {id} of await this.#deps.store.tasks.unfinished()) this.#queue.add(id)
  }

  /** A task is new, is to be cancelled, or its node came back. */
  wake(id: string): void {
    this.#queue.add(id)
    void this.#cancelIfAsked(id)
  }

  idle(): Promise<void> {
    return this.#queue.idle()
  }

  /** Leaves what runs where it is: the next start goes on. */
  async close(): Promise<void> {
    this.#closing.abort(problem('server_stopping', {}))
    for (const running of this.#running.values()) running.abort(this.#closing.signal.reason)
    await this.#queue.close()
  }

  async #cancelIfAsked(id: string): Promise<void> {
    const running = this.#running.get(id)
    if (!running) return
    const task = await this.#deps.store.tasks.find(id).catch(() => undefined)
    if (task?.cancelling) running.abort(problem('task_cancelled', {}))
  }

  async #reconcile(id: string): Promise<Requeue | undefined> {
    const {store, clock} = this.#deps
    const task = await store.tasks.find(id)
    if (!task || isOver(task)) return undefined
    const stop = new AbortController()
    const overdue = new AbortController()
    this.#running.set(id, stop)
    const leftMs = Date.parse(task.deadlineAt) - clock.now()
    const end = () => {
      for (const one of [overdue, stop]) one.abort(problem('task_deadline', {}))
    }
    const timer: Timer = clock.setTimeout(end, Math.max(0, leftMs), {unref: true})
    if (task.cancelling) stop.abort(problem('task_cancelled', {}))
    try {
      const closing = this.#closing.signal
      const late = AbortSignal.any([overdue.signal, closing])
      const parts = {task, deps: this.#deps, wakeNode: this.#wakeNode}
      return await new TaskRun({...parts, signal: stop.signal, late, closing}).go()
    } finally {
      timer.cancel()
      this.#running.delete(id)
    }
  }
}

interface RunParts {
  task: TaskRecord
  deps: ControllerDependencies
  wakeNode: (nodeId: string) => void
  signal: AbortSignal
  /** As `signal`, without the cancel: of steps that are irrevocable. */
  late: AbortSignal
  /** The server stops: what is to be taken back is taken back after its next start. */
  closing: AbortSignal
}

/** One stretch of a task's life, until it ends or has to wait. */
class TaskRun {
  readonly #parts: RunParts
  readonly #recipe: Recipe<never> | undefined
  readonly #steps: readonly Step<never>[]
  /** What the stretch before this one was at. */
  readonly #begun: number
  #task: TaskRecord

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#task = parts.task
    this.#begun = parts.task.steps.findIndex(({state}) => state === 'running')
    this.#recipe = parts.deps.recipes[parts.task.type]
    this.#steps = this.#recipe?.steps(parts.task.input as never) ?? []
  }

  async go(): Promise<Requeue | undefined> {
    if (!this.#recipe) return this.#fail(problem('internal', {}))
    try {
      for (const [index, step] of this.#steps.entries()) {
        if (this.#task.steps[index]?.state === 'done') continue
        this.#signal.throwIfAborted()
        await this.#runStep(index, step)
      }
      return await this.#complete(this.#recipe)
    } catch (error) {
      const signal = this.#signal
      const why = signal.aborted ? signal.reason : error
      if (isStopping(why)) return undefined
      if (signal.aborted || !isPassing(why)) return this.#fail(why)
      await this.#save({...this.#task, message: `Waiting: ${(why as Error).message}`})
      return {afterMs: this.#recipe.lookAgainMs ?? lookAgainMs}
    }
  }

  /** Amid a step that nothing brings back, and behind it, there is no way but on. */
  get #signal(): AbortSignal {
    const {signal, late} = this.#parts
    const isPast = this.#steps.some((step, at) => step.isIrrevocable && this.#task.steps[at]?.state === 'done')
    return isPast || this.#task.notes.isIrrevocable === true ? late : signal
  }

  async #runStep(index: number, step: Step<never>): Promise<void> {
    const {title = step.name, state} = this.#task.steps[index] ?? {}
    const startedAt = this.#task.startedAt ?? this.#now()
    const progress = progressAt(this.#steps, index, 0)
    const begun = {...this.#task, status: 'running' as const, startedAt, progress, message: title}
    await this.#save(withStep(begun, index, 'running'))
    const before = this.#signal
    const signal = step.isIrrevocable ? this.#parts.late : before
    const run = this.#runOf(index, signal)
    if (!(await step.isDone(run))) {
      if (state !== 'running') await this.#note(title)
      before.throwIfAborted()
      if (step.isIrrevocable) await this.#goOnOnly()
      await step.do(run)
      signal.throwIfAborted()
      if (!(await step.isDone(run))) throw problem('step_unverified', {step: title})
    }
    await this.#save(withStep({...this.#task, progress: progressAt(this.#steps, index, 100)}, index, 'done'))
  }

  /** Kept before anything is done: its node, or this server, may die in the middle. */
  async #goOnOnly(): Promise<void> {
    this.#task.notes.isIrrevocable = true
    await this.#save(this.#task)
  }

  async #complete(recipe: Recipe<never>): Promise<undefined> {
    const result = recipe.result(this.#runOf(this.#steps.length))
    const message = 'Done.'
    await this.#end({...this.#task, status: 'completed', progress: 100, message, result}, 'Completed', message)
    return undefined
  }

  /** Takes back what was done, last step first; what cannot be taken back is said in the log and in the error. */
  async #fail(why: unknown): Promise<undefined> {
    const {deps, closing} = this.#parts
    if (!isPassing(why) && failureOf(why).code === 'INTERNAL') deps.onError('task', this.#task.id, why)
    const failure = failureOf(why)
    await this.#note(`Failed: ${failure.message}`)
    const left: string[] = []
    const untilMs = deps.clock.monotonic() + undoMs
    for (let index = this.#steps.length - 1; index >= 0; index--) {
      const state = this.#task.steps[index]?.state
      if (state !== 'done' && state !== 'running') continue
      const isUndone = await this.#undo(index, untilMs)
      if (!isUndone && closing.aborted) return undefined
      if (!isUndone) left.push(this.#task.steps[index]?.title ?? '')
      // What has nothing to take back stays done.
      const after = isUndone && this.#steps[index]?.undo ? 'undone' : 'done'
      await this.#save(withStep(this.#task, index, state === 'running' ? 'failed' : after))
    }
    const details = {...failure.details, ...(left.length > 0 ? {notTakenBack: left} : {})}
    const error = {...failure, details}
    await this.#end({...this.#task, status: 'failed', message: failure.message, error}, 'Failed', failure.message)
    return undefined
  }

  /** Also of a node that comes back meanwhile. */
  async #undo(index: number, untilMs: number): Promise<boolean> {
    const {deps, closing} = this.#parts
    const undo = this.#steps[index]?.undo
    if (!undo) return true
    for (;;) {
      const leftMs = untilMs - deps.clock.monotonic()
      try {
        await undo.call(this.#steps[index], this.#runOf(index, AbortSignal.timeout(Math.max(1, Math.ceil(leftMs)))))
        await this.#note(`Taken back: ${this.#task.steps[index]?.title}`)
        return true
      } catch (error) {
        if (isPassing(error) && leftMs > 0) await sleep(deps.clock, undoAgainMs, closing).catch(() => {})
        if (closing.aborted) return false
        if (isPassing(error) && leftMs > 0) continue
        await this.#note(`Not taken back: ${this.#task.steps[index]?.title}: ${failureOf(error).message}`)
        return false
      }
    }
  }

  #runOf(index: number, signal = this.#parts.signal): StepRun<never> {
    const {deps} = this.#parts
    return {
      taskId: this.#task.id,
      input: this.#task.input as never,
      notes: this.#task.notes,
      isAgain: index === this.#begun,
      signal,
      agent: (nodeId): AgentPort => deps.fleet.agent(nodeId),
      target: id => openTarget(deps, id),
      program: deps.program,
      now: () => deps.clock.now(),
      log: text => this.#note(text),
      progress: percent => this.#tell(index, percent),
    }
  }

  #tell(index: number, percent: number): void {
    const progress = progressAt(this.#steps, index, percent)
    if (progress === this.#task.progress) return
    this.#task = {...this.#task, progress}
    this.#parts.deps.taskFeed.publish(this.#task)
  }

  async #note(text: string): Promise<void> {
    const line = {at: this.#now(), text: text.slice(0, 4_000)}
    await this.#parts.deps.store.transaction(tx => tx.tasks.log(this.#task.id, line, linesKept))
  }

  async #save(next: TaskRecord): Promise<void> {
    const saved = await this.#parts.deps.journal.change(async tx => {
      const current = await tx.tasks.find(next.id)
      return tx.tasks.save({...next, ...sharedWith(current ?? next), updatedAt: this.#now()})
    })
    this.#task = {...saved, notes: this.#task.notes}
    this.#parts.deps.taskFeed.publish(saved)
  }

  async #end(next: TaskRecord, type: string, message: string): Promise<void> {
    const woken = new Set<string>()
    const wakeNode = (nodeId: string) => void woken.add(nodeId)
    const saved = await this.#parts.deps.journal.change(async (tx, record) => {
      const current = await tx.tasks.find(next.id)
      const at = this.#now()
      const ended = {...next, ...sharedWith(current ?? next), updatedAt: at, finishedAt: at}
      await record.event('task', {id: next.id, name: next.object}, type, `${next.type} ${next.object}: ${message}`)
      await this.#recipe?.ended?.({tx, record, wakeNode}, ended)
      return tx.tasks.save(ended)
    })
    for (const nodeId of woken) this.#parts.wakeNode(nodeId)
    this.#parts.deps.taskFeed.publish(saved)
  }

  #now(): string {
    return new Date(this.#parts.deps.clock.now()).toISOString()
  }
}

/** What others write on a task that runs here: the wish to end it. */
function sharedWith({version, cancelling}: TaskRecord): Pick<TaskRecord, 'version' | 'cancelling'> {
  return {version, cancelling}
}

function isStopping(error: unknown): boolean {
  return (error as {code?: string} | undefined)?.code === 'server_stopping'
}
