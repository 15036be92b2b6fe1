import type {Clock} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import {WorkQueue} from '../platform/work-queue.ts'
import type {RuntimeDriver} from '../runtime/driver.ts'

/** Volumes that are removed at once. */
const concurrency = 4

/**
 * Removes volumes that the server wants gone, and tells it of each that is. Remembers nothing: the server names them
 * until it has heard so. One that a container still has is tried again.
 */
export class VolumeRemoval {
  readonly #queue: WorkQueue<string>

  constructor({
    driver,
    clock,
    logger,
    onGone,
  }: {driver: RuntimeDriver; clock: Clock; logger: Logger; onGone: (name: string) => void}) {
    this.#queue = new WorkQueue<string>({
      concurrency,
      clock,
      retry: {baseMs: 500, maxMs: 60_000},
      onError: (name, error) => logger.warn({volume: name, err: error}, 'the volume is still there'),
      reconcile: async name => {
        await driver.removeVolume(name)
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
