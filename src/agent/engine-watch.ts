import {type Clock, sleep} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import type {FoundContainer, RuntimeDriver} from '../runtime/driver.ts'

/** All containers are looked at again this often, events or not (reliability F16). */
const resyncMs = 30_000
/** And once soon after the events were asked for, since the engine may have begun to send them a little later. */
const secondLookMs = 1_500

export interface EngineWatchDependencies {
  driver: RuntimeDriver
  clock: Clock
  logger: Logger
  /** A list is about to be asked for: what changes from now on may not be in it. */
  beforeList: () => void
  onList: (list: FoundContainer[]) => Promise<void>
  onChange: (containerId: string) => void
  onState: (state: 'ok' | 'degraded', reason: string) => void
}

/**
 * Keeps in touch with the container engine: its events, a full look now and then, and whether it answers at all. An
 * engine that is away says nothing about its containers (reliability M6).
 */
export class EngineWatch {
  readonly #deps: EngineWatchDependencies
  readonly #stopping = new AbortController()
  #following: Promise<void> = Promise.resolve()
  #looking: Promise<void> = Promise.resolve()
  #resync: {cancel(): void} | undefined
  #isOk = false

  constructor(deps: EngineWatchDependencies) {
    this.#deps = deps
  }

  start(): void {
    this.#following = this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#resync?.cancel()
    await this.#following
  }

  /** Asks whether the engine answers; a hung one says nothing by itself (reliability M8). After an outage all is looked at. */
  async check(): Promise<void> {
    try {
      await this.#deps.driver.ping()
      if (!this.#isOk) await this.look()
    } catch (error) {
      this.lost(error)
    }
  }

  lost(error: unknown): void {
    if (this.#stopping.signal.aborted) return
    this.#isOk = false
    this.#deps.onState('degraded', error instanceof Error ? error.message : String(error))
  }

  /** Looks at all containers now, after a look that is under way. Rejects when the engine does not answer. */
  look(): Promise<void> {
    this.#looking = this.#looking
      .catch(() => {})
      .then(async () => {
        this.#deps.beforeList()
        const list = await this.#deps.driver.list()
        if (this.#stopping.signal.aborted) return
        this.#isOk = true
        this.#deps.onState('ok', '')
        await this.#deps.onList(list)
      })
    return this.#looking
  }

  /** After a loss it begins again, with a growing pause. */
  async #follow(): Promise<void> {
    const {driver, clock, logger, onChange} = this.#deps
    const {signal} = this.#stopping
    for (let failures = 0; !signal.aborted; failures++) {
      const attempt = new AbortController()
      try {
        const events = driver.watch(AbortSignal.any([signal, attempt.signal]))[Symbol.asyncIterator]()
        const first = events.next() // asked for before the list, so that nothing falls between the two
        first.catch(() => {})
        await this.look()
        this.#planResync(secondLookMs)
        failures = 0
        for (let event = await first; !event.done; event = await events.next()) onChange(event.value.containerId)
      } catch (error) {
        if (signal.aborted) return
        this.lost(error)
        logger.warn({err: error}, 'the container engine does not answer')
      } finally {
        attempt.abort()
      }
      await sleep(clock, Math.min(10_000, 250 * 2 ** failures), signal).catch(() => {}) // stopped meanwhile
    }
  }

  #planResync(afterMs: number): void {
    this.#resync?.cancel()
    if (this.#stopping.signal.aborted) return
    this.#resync = this.#deps.clock.setTimeout(() => {
      void this.look()
        .catch(error => this.lost(error))
        .then(() => this.#planResync(resyncMs))
    }, afterMs)
  }
}
