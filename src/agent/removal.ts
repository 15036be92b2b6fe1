import type {Clock} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import {WorkQueue} from '../platform/work-queue.ts'

/** Things that are removed at once. */
const concurrency = 4

interface RemovalParts {
  clock: Clock
  logger: Logger
  /** Absent things are no error. */
  remove: (name: string) => Promise<void>
  onGone: (name: string) => void
}

/**
 * Removes things that the server wants gone, and tells it of each that is. Remembers nothing: the server names them
 * until it has heard so. One that a container still has is tried again.
 */
export class Removal {
  readonly #queue: WorkQueue<string>

  constructor({clock, logger, remove, onGone}: RemovalParts) {
    this.#queue = new WorkQueue<string>({
      concurrency,
      clock,
      retry: {baseMs: 500, maxMs: 60_000},
      onError: (name, error) => logger.warn({name, err: error}, 'it is still there'),
      reconcile: async name => {
        await remove(name)
        onGone(name)
        return undefined
      },
    })
  }

  want(names: readonly string[]): void {
    for (const name of names) this.#queue.add(name)
  }

  idle(): Promise<void> {
    return this.#queue.idle()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }
}
