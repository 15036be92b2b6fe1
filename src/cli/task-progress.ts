import type {Client} from '../client/client.ts'
import type {Task} from '../contract/schemas/tasks.ts'
import {exitCode} from './exit-codes.ts'
import {Failure} from './failure.ts'
import {waitFor} from './wait.ts'

interface Following {
  timeoutMs?: number
  quiet: boolean
}

const isOver = ({status}: Task) => status === 'completed' || status === 'failed'

/** What a task can be waited to be. */
export const taskStates = ['running', 'completed', 'failed'] as const
type TaskState = (typeof taskStates)[number]

/**
 * Shows a task's steps until it is as wanted. Throws a Failure (exit 1) where it ended in another state, 124 after the
 * timeout, 130 at Ctrl-C; the task goes on in the last two.
 */
export async function followTask(
  client: Client,
  id: string,
  {timeoutMs, quiet, until = 'completed'}: Following & {until?: TaskState},
): Promise<Task> {
  const goOn = `gpuctl task wait ${id}${until === 'completed' ? '' : ` --for ${until}`}`
  const task = await waitFor<Task>({
    look: signal => client.call('tasks.get', {id}, {signal}),
    isDone: one => one.status === until || isOver(one),
    describe: ({progress, message}) => (progress === null ? message : `${message} ${progress} %`),
    ...{goOn, end: `gpuctl task cancel ${id}`},
    timeoutMs,
    quiet,
  })
  if (task.status === until) return task
  if (until !== 'completed') {
    throw new Failure('state_impossible', `task ${task.number} is ${task.status} and will not be ${until}.`, {
      exitCode: exitCode.failure,
      hint: `See it with \`gpuctl task get ${task.number}\`.`,
    })
  }
  throw new Failure('task_failed', `${task.type} ${task.object} failed: ${task.error?.message ?? task.message}`, {
    exitCode: exitCode.failure,
    hint: `See what it did with \`gpuctl task logs ${task.number}\`.`,
    details: {task: task.id, ...task.error},
  })
}

/** As followTask, of several at once: a word for each on one line. Answers them all, also those that failed. */
export function followTasks(client: Client, tasks: readonly Task[], {timeoutMs, quiet}: Following): Promise<Task[]> {
  let known = [...tasks]
  return waitFor<Task[]>({
    look: async signal => {
      known = await Promise.all(
        known.map(one => (isOver(one) ? one : client.call('tasks.get', {id: one.id}, {signal}))),
      )
      return known
    },
    isDone: found => found.every(isOver),
    describe: found => found.map(({node, status, progress}) => `${node} ${wordOf(status, progress)}`).join(', '),
    goOn: tasks.map(({number}) => `gpuctl task wait ${number}`).join(' && '),
    timeoutMs,
    quiet,
  })
}

function wordOf(status: Task['status'], progress: number | null): string {
  return status === 'running' ? `${progress ?? 0} %` : status === 'completed' ? 'done' : status
}
