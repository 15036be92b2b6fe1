import type {FoundPool, PoolType} from '../contract/storage-protocol.ts'
import type {Clock} from '../platform/clock.ts'
import {type StorageDriver, StorageError} from './driver.ts'

/** How long an answer holds to whether a driver can work. One that could, and fails, is asked again at once. */
const holdsMs = {works: 5 * 60_000, lacks: 15_000}

interface Answer {
  reason: Promise<string | undefined>
  untilMs: number
}

/** The drivers of a host; asks for their programs and kernel modules now and then, not with every look. */
export class StorageDrivers {
  readonly #drivers: readonly StorageDriver[]
  readonly #clock: Clock
  readonly #answers = new Map<StorageDriver, Answer>()

  constructor({drivers, clock}: {drivers: readonly StorageDriver[]; clock: Clock}) {
    this.#drivers = drivers
    this.#clock = clock
  }

  /** Throws unavailable. */
  of(type: PoolType): StorageDriver {
    const found = this.#drivers.find(driver => driver.type === type)
    if (!found) throw new StorageError('unavailable', `This node has no storage of the kind ${String(type)}.`)
    return found
  }

  /** Asks anew: what was missing may just have been installed. Throws unavailable. */
  async able(type: PoolType): Promise<StorageDriver> {
    const driver = this.of(type)
    this.#answers.delete(driver)
    const reason = await this.#reason(driver)
    if (reason !== undefined) throw new StorageError('unavailable', reason)
    return driver
  }

  async working(): Promise<StorageDriver[]> {
    const reasons = await Promise.all(this.#drivers.map(driver => this.#reason(driver)))
    return this.#drivers.filter((_, index) => reasons[index] === undefined)
  }

  /** Of all drivers that work. */
  async pools(): Promise<FoundPool[]> {
    const found = await Promise.all((await this.working()).map(driver => this.#poolsOf(driver)))
    return found.flat()
  }

  /** After a pool was made: its making may have loaded what was missing. */
  forget(type: PoolType): void {
    for (const driver of this.#answers.keys()) if (driver.type === type) this.#answers.delete(driver)
  }

  async #poolsOf(driver: StorageDriver): Promise<FoundPool[]> {
    try {
      return await driver.pools()
    } catch (error) {
      this.#answers.delete(driver)
      if ((await this.#reason(driver)) !== undefined) return []
      throw error
    }
  }

  #reason(driver: StorageDriver): Promise<string | undefined> {
    const known = this.#answers.get(driver)
    const nowMs = this.#clock.monotonic()
    if (known && nowMs < known.untilMs) return known.reason
    const answer = {reason: driver.unavailable(), untilMs: nowMs + holdsMs.lacks}
    this.#answers.set(driver, answer)
    const keep = (reason: string | undefined) => {
      if (reason === undefined) answer.untilMs = nowMs + holdsMs.works
    }
    answer.reason.then(keep, () => this.#answers.delete(driver))
    return answer.reason
  }
}
