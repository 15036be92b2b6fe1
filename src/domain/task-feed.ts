import type {TaskRecord} from './records.ts'
import {isOver} from './task.ts'

/** The newest state of the tasks that run, for those who look or follow: progress comes several times a second and is not stored. */
export class TaskFeed {
  readonly #listeners = new Map<string, Set<(task: TaskRecord) => void>>()
  readonly #newest = new Map<string, TaskRecord>()

  /** Calls back until the returned function is called. */
  follow(taskId: string, listener: (task: TaskRecord) => void): () => void {
    const listeners = this.#listeners.get(taskId) ?? new Set()
    this.#listeners.set(taskId, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(taskId)
    }
  }

  publish(task: TaskRecord): void {
    if (isOver(task)) this.#newest.delete(task.id)
    else this.#newest.set(task.id, task)
    for (const listener of this.#listeners.get(task.id) ?? []) listener(task)
  }

  /** The stored task, with the progress that it has made since it was stored. */
  newest(stored: TaskRecord): TaskRecord {
    const known = this.#newest.get(stored.id)
    return known && known.version === stored.version ? {...stored, progress: known.progress} : stored
  }
}
