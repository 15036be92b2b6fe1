import {type Static, Type} from 'typebox'
import {operation} from '../operation.ts'
import {ById, identity, Nullable, Page, Reference, Time} from './common.ts'

export const TaskStatus = Type.Enum(['pending', 'running', 'completed', 'failed'])
export type TaskStatus = Static<typeof TaskStatus>

/** One step of a task: what it does, in words, and how far it is. `undone`: it was done, and taken back when a later one failed. */
export const TaskStep = Type.Object({
  name: Type.String(),
  title: Type.String(),
  state: Type.Enum(['waiting', 'running', 'done', 'failed', 'undone']),
})
export type TaskStep = Static<typeof TaskStep>

/** Long work, step by step, that goes on after a crash (wire.md 2.2). */
export const Task = Type.Object({
  ...identity,
  /** What kind of work: `pool.create`, `backup.create`, … */
  type: Type.String(),
  /** What it works on, as people call it. */
  object: Type.String(),
  node: Type.String({description: 'name of the node that it works on, or empty'}),
  owner: Type.String({description: 'user name'}),
  status: TaskStatus,
  /** 0–100; null before it starts. */
  progress: Nullable(Type.Integer({minimum: 0, maximum: 100})),
  /** What is going on, or how it ended. */
  message: Type.String(),
  steps: Type.Array(TaskStep),
  /** What came of it, once completed. */
  result: Nullable(Type.Record(Type.String(), Type.Unknown())),
  error: Nullable(
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      details: Type.Record(Type.String(), Type.Unknown()),
    }),
  ),
  /** Somebody wants it ended. */
  cancelling: Type.Boolean(),
  startedAt: Nullable(Time),
  finishedAt: Nullable(Time),
  /** It fails then, whatever it is doing. */
  deadlineAt: Time,
})
export type Task = Static<typeof Task>

export const TaskLogLine = Type.Object({at: Time, text: Type.String()})
export type TaskLogLine = Static<typeof TaskLogLine>

export const tasks = {
  'tasks.list': operation({
    summary: 'List tasks, newest first: your own; administrators see all.',
    access: 'viewer',
    input: Type.Object({
      status: Type.Optional(TaskStatus),
      type: Type.Optional(Type.String({maxLength: 64})),
      ...Page,
    }),
    output: Type.Array(Task),
  }),
  'tasks.get': operation({summary: 'One task.', access: 'viewer', input: ById, output: Task}),
  'tasks.logs': operation({
    summary: 'What a task has noted so far; the last 1,000 lines.',
    access: 'viewer',
    input: ById,
    output: Type.Array(TaskLogLine),
  }),
  'tasks.cancel': operation({
    summary: 'End a task: what it has done is taken back. A task that is over stays as it is.',
    access: 'user',
    input: ById,
    output: Task,
  }),
  'tasks.follow': operation({
    summary: 'A task as it goes on: each event is its newest state; the stream ends with the task.',
    access: 'viewer',
    transport: 'events',
    input: Type.Object({id: Reference}),
    output: Task,
  }),
}
