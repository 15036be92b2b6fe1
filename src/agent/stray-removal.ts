import type {Clock} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import type {FoundContainer, RuntimeDriver} from '../runtime/driver.ts'

/** A stray is left alone so long: with a look every 30 s it is gone at the second one that sees it (reliability I6). */
const graceMs = 25_000

/** Removes containers of this node that the server does not want, after a grace. */
export class StrayRemoval {
  readonly #deps: {driver: RuntimeDriver; clock: Clock; logger: Logger}
  readonly #sinceMs = new Map<string, number>()

  constructor(deps: {driver: RuntimeDriver; clock: Clock; logger: Logger}) {
    this.#deps = deps
  }

  /** Takes all strays of this moment. One that cannot be removed is tried again the next time. */
  async remove(strays: readonly FoundContainer[]): Promise<void> {
    const {clock} = this.#deps
    const nowMs = clock.monotonic()
    const ids = new Set(strays.map(one => one.containerId))
    for (const id of this.#sinceMs.keys()) if (!ids.has(id)) this.#sinceMs.delete(id)
    for (const stray of strays) {
      const sinceMs = this.#sinceMs.get(stray.containerId) ?? nowMs
      this.#sinceMs.set(stray.containerId, sinceMs)
      if (nowMs - sinceMs >= graceMs) await this.#remove(stray)
    }
  }

  async removeNow(strays: readonly FoundContainer[]): Promise<void> {
    await Promise.all(strays.map(stray => this.#remove(stray)))
  }

  async #remove({containerId, name}: FoundContainer): Promise<void> {
    const {driver, logger} = this.#deps
    logger.warn({container: name}, 'removing a container that nobody wants')
    await driver.remove(containerId).catch(error => logger.warn({container: name, err: error}, 'it is still there'))
  }
}
