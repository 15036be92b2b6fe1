import type {Task, TaskStep} from '../contract/schemas/tasks.ts'
import type {TargetAccess} from '../contract/storage-protocol.ts'
import {type DomainError, isProblem, problem} from './errors.ts'
import type {Recorder} from './journal.ts'
import type {AgentPort, OwnProgram, Tables} from './ports.ts'
import type {TaskRecord} from './records.ts'

/** What a step works with. */
export interface StepRun<I = Record<string, unknown>> {
  taskId: string
  input: I
  /** Kept with the step: what it writes here, a later step and the same one after a crash find again. */
  notes: Record<string, unknown>
  /** The step had begun when a crash of the server, or of the node, cut it off. */
  isAgain: boolean
  /** Fires at the deadline, when the task is cancelled, and when the server stops. */
  signal: AbortSignal
  /** Throws node_offline: the step is tried again when the node is back. */
  agent(nodeId: string): AgentPort
  /** A place for backups with its secret, which no input and no note may carry. Throws not_found. */
  target(id: string): Promise<TargetAccess>
  /** The program of this server. */
  program(): Promise<OwnProgram>
  /** Wall time, ms. */
  now(): number
  /** One line for people, kept with the task. */
  log(text: string): Promise<void>
  /** 0–100 of this step. */
  progress(percent: number): void
}

/**
 * One step: look, do, look again. After a crash at any moment the step is run again from its first look, so `isDone`
 * tells what this task has done from what was there before it (reliability F18, M24).
 */
export interface Step<I = Record<string, unknown>> {
  name: string
  title(input: I): string
  isDone(run: StepRun<I>): Promise<boolean>
  do(run: StepRun<I>): Promise<void>
  /** Takes back what was done; again, or half done, is no error. Absent: there is nothing to take back. */
  undo?(run: StepRun<I>): Promise<void>
  /** Nothing brings back what it takes: once begun the task goes on to its end, and a cancel comes too late. */
  isIrrevocable?: boolean
  /** Share of the progress beside the others, 1 unless given. */
  weight?: number
}

/** A kind of task: its steps in order, and what nobody else may touch meanwhile. */
export interface Recipe<I = Record<string, unknown>> {
  type: string
  /** All in all, waiting for nodes included. */
  deadlineMs: number
  /** What waits for a node is looked at again after so long; 5 s unless given. */
  lookAgainMs?: number
  object(input: I): string
  locks(input: I): readonly string[]
  steps(input: I): readonly Step<I>[]
  result(run: StepRun<I>): Record<string, unknown>
  /** What else changes in the store with the task's end, in the same transaction. `wakeNode`: of what changed there it is told. */
  ended?(change: {tx: Tables; record: Recorder; wakeNode: (nodeId: string) => void}, task: TaskRecord): Promise<void>
}

/** All kinds of tasks by type. */
export type Recipes = Readonly<Record<string, Recipe<never>>>

export function isOver({status}: Pick<Task, 'status'>): boolean {
  return status === 'completed' || status === 'failed'
}

/** Work on an instance, of which only its owner and super administrators know. */
export const privatePrefix = 'instance.'

export function isPrivate({type}: Pick<Task, 'type'>): boolean {
  return type.startsWith(privatePrefix)
}

/** Every event of a task names its type. */
export function tellsOfPrivate({message}: {message: string}): boolean {
  return message.includes(privatePrefix)
}

/** Percent of the whole when `step` is `percent` done. */
export function progressAt(steps: readonly {weight?: number}[], step: number, percent: number): number {
  const weights = steps.map(({weight = 1}) => weight)
  const total = weights.reduce((sum, one) => sum + one, 0) || 1
  const done = weights.slice(0, step).reduce((sum, one) => sum + one, 0)
  return Math.min(100, Math.floor((100 * done + (weights[step] ?? 0) * Math.min(100, Math.max(0, percent))) / total))
}

export function withStep(task: TaskRecord, index: number, state: TaskStep['state']): TaskRecord {
  return {...task, steps: task.steps.map((step, at) => (at === index ? {...step, state} : step))}
}

/** Whether trying again may help: the node or the store is away, nothing was refused. */
export function isPassing(error: unknown): boolean {
  return isProblem(error) && (error.kind === 'unavailable' || error.kind === 'too_many')
}

/** What the task's end says of an error. A bug says nothing of itself; the log has it. */
export function failureOf(error: unknown): NonNullable<Task['error']> {
  const known: DomainError = isProblem(error) ? error : problem('internal', {})
  return {code: known.code.replace(/^task_/, '').toUpperCase(), message: known.message, details: known.details}
}

export function publicTask(record: TaskRecord): Task {
  const {version: _, ownerId: __, input: ___, notes: ____, locks: _____, ...task} = record
  return task
}
