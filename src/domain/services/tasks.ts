import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Task} from '../../contract/schemas/tasks.ts'
import {type Caller, hasRole, seesAll} from '../caller.ts'
import type {Recorder} from '../journal.ts'
import type {Tables} from '../ports.ts'
import type {TaskRecord} from '../records.ts'
import {isOver, isPrivate, publicTask, type Recipe} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {resolve} from './references.ts'
import type {Services} from './services.ts'

/** Newest states that may wait for a slow reader; of a task only the last one matters. */
const mostWaiting = 1

/** Long work that outlives a crash: others submit it in the transaction of their intent, the task controller does it. */
export class TaskService {
  readonly #deps: ServiceDependencies

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
  }

  methods(): Services['tasks'] {
    return {
      list: (input, caller) => this.#list(input, caller),
      get: async ({id}, caller) => this.#shown(await this.#find(id, caller)),
      logs: async ({id}, caller) => this.#deps.store.tasks.logs((await this.#find(id, caller)).id),
      cancel: (input, caller) => this.#cancel(input, caller),
      follow: (input, caller, signal) => this.#follow(input, caller, signal),
    }
  }

  /** Records a task; call `start` with it once the transaction is committed. Throws task_conflict. */
  async submit<I extends object>(
    {tx, record}: {tx: Tables; record: Recorder},
    {recipe, input, node = '', caller}: {recipe: Recipe<I>; input: I; node?: string; caller: Caller},
  ): Promise<TaskRecord> {
    const {clock, secrets} = this.#deps
    const at = new Date(clock.now()).toISOString()
    const steps = recipe
      .steps(input)
      .map(step => ({name: step.name, title: step.title(input), state: 'waiting' as const}))
    const task = await tx.tasks.insert({
      id: secrets.uuid(),
      ...{createdAt: at, updatedAt: at, version: 0},
      type: recipe.type,
      object: recipe.object(input),
      ...{node, owner: caller.username, ownerId: caller.id},
      ...{status: 'pending', progress: null, message: 'Waiting to start.', steps, result: null, error: null},
      ...{cancelling: false, startedAt: null, finishedAt: null},
      deadlineAt: new Date(clock.now() + recipe.deadlineMs).toISOString(),
      input: input as Record<string, unknown>,
      notes: {},
      locks: recipe.locks(input),
    })
    await record.event(
      'task',
      {id: task.id, name: task.object},
      'Submitted',
      `${task.type} ${task.object}`,
      caller.username,
    )
    // Who only wants to know hears what it would be.
    if (caller.rehearses) {
      for (const {title} of steps) await record.event('task', {id: task.id, name: task.object}, 'Step', title)
    }
    await record.audit(caller, `tasks.submit ${task.type}`, task.id, {object: task.object, node})
    return task
  }

  start(task: TaskRecord): void {
    this.#deps.wake('task', task.id)
  }

  async #list({status, type, limit = 100, offset}: InputOf<'tasks.list'>, caller: Caller): Promise<Task[]> {
    const ownerId = seesTasks(caller) ? undefined : caller.id
    const privateTo = seesAll(caller) ? undefined : caller.id
    const found = await this.#deps.store.tasks.list({ownerId, privateTo, status, type, limit, offset})
    return found.map(task => this.#shown(task))
  }

  async #cancel({id}: InputOf<'tasks.cancel'>, caller: Caller): Promise<OutputOf<'tasks.cancel'>> {
    const found = await this.#find(id, caller)
    const saved = await this.#deps.journal.change(async (tx, record) => {
      const task = await tx.tasks.find(found.id)
      if (!task || isOver(task) || task.cancelling) return task ?? found
      const named = {id: task.id, name: task.object}
      await record.event('task', named, 'Cancelling', `${caller.username} ends ${task.type}.`, caller.username)
      await record.audit(caller, 'tasks.cancel', task.id)
      return tx.tasks.save({...task, cancelling: true})
    })
    this.#deps.wake('task', saved.id)
    return publicTask(saved)
  }

  async #follow({id}: {id: string}, caller: Caller, signal: AbortSignal): Promise<AsyncIterable<Task>> {
    const {store, taskFeed} = this.#deps
    const {id: taskId} = await this.#find(id, caller)
    const waiting: TaskRecord[] = []
    let wake = () => {}
    const leave = taskFeed.follow(taskId, task => {
      waiting.splice(0, waiting.length - mostWaiting + 1, task)
      wake()
    })
    signal.addEventListener('abort', () => wake(), {once: true})
    return (async function* () {
      try {
        // Read after the feed is followed: what changes in between comes twice, not never.
        let task = await store.tasks.find(taskId)
        while (task && !signal.aborted) {
          yield publicTask(taskFeed.newest(task))
          if (isOver(task)) return
          if (waiting.length === 0)
            await new Promise<void>(go => {
              wake = go
            })
          task = waiting.shift()
        }
      } finally {
        leave()
      }
    })()
  }

  #shown(task: TaskRecord): Task {
    return publicTask(this.#deps.taskFeed.newest(task))
  }

  #find(reference: string, caller: Caller): Promise<TaskRecord> {
    const {tasks} = this.#deps.store
    const ownerId = seesTasks(caller) ? undefined : caller.id
    const isSeen = (task: TaskRecord) =>
      task.ownerId === caller.id || seesAll(caller) || (ownerId === undefined && !isPrivate(task))
    const seen = (task: TaskRecord | undefined) => (task && isSeen(task) ? task : undefined)
    return resolve(reference.replace(/^task-/, ''), {
      kind: 'task',
      byId: async id => seen(await tasks.find(id)),
      byNumber: async number => seen(await tasks.findByNumber(number)),
      byName: async () => [],
      byPrefix: async prefix => (await tasks.findByPrefix(prefix, ownerId, 3)).filter(isSeen),
      nameOf: task => ({id: task.id, name: `${task.type} ${task.object}`}),
    })
  }
}

function seesTasks(caller: Caller): boolean {
  return hasRole(caller, 'node_admin')
}
