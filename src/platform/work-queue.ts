import type {Clock, Timer} from './clock.ts'

/** "Not now": look at the key again after so many milliseconds. */
export interface Requeue {
  afterMs: number
}

export interface WorkQueueOptions<K extends string> {
  /** Reads the whole state that the key names and brings it one step on. May be repeated at any time. */
  reconcile: (key: K) => Promise<Requeue | undefined>
  /** How many keys may run side by side. */
  concurrency: number
  clock: Clock
  retry: {baseMs: number; maxMs: number}
  onError: (key: K, error: unknown, detail: {failures: number; retryAfterMs: number}) => void
}

/**
 * A queue of keys, as the controllers of Kubernetes use it: a key waits at most once, never runs twice at the same
 * time, runs again when it was added while it ran, and comes back later and later while it fails.
 */
export class WorkQueue<K extends string> {
  readonly #options: WorkQueueOptions<K>
  readonly #waiting = new Set<K>()
  readonly #running = new Set<K>()
  readonly #addedWhileRunning = new Set<K>()
  readonly #failures = new Map<K, number>()
  readonly #timers = new Map<K, {dueMs: number; timer: Timer}>()
  #wakePlanned = false
  #closed = false
  #restWaiters: (() => void)[] = []

  constructor(options: WorkQueueOptions<K>) {
    this.#options = options
  }

  /** Wakes the key: soon, and once, however often it is called before. */
  add(key: K): void {
    if (this.#closed) return
    if (this.#running.has(key)) this.#addedWhileRunning.add(key)
    else this.#waiting.add(key)
    this.#planWake()
  }

  /** Wakes the key after `afterMs`. An earlier wake that is already planned stays; a later one is moved forward. */
  addAfter(key: K, afterMs: number): void {
    if (this.#closed) return
    const {clock} = this.#options
    const dueMs = clock.monotonic() + afterMs
    const planned = this.#timers.get(key)
    if (planned && planned.dueMs <= dueMs) return
    planned?.timer.cancel()
    const wake = () => {
      this.#timers.delete(key)
      this.add(key)
    }
    this.#timers.set(key, {dueMs, timer: clock.setTimeout(wake, afterMs, {unref: true})})
  }

  /** Keys that wait for their turn, without those that wait for a time. */
  get depth(): number {
    return this.#waiting.size
  }

  /** Resolves when no key waits or runs. Keys that are planned for later do not count. */
  async idle(): Promise<void> {
    while (!this.#isAtRest()) await new Promise<void>(resolve => this.#restWaiters.push(resolve))
  }

  /** Takes no more work, forgets what waits, and resolves when the running work has ended. */
  async close(): Promise<void> {
    this.#closed = true
    for (const {timer} of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    this.#waiting.clear()
    this.#addedWhileRunning.clear()
    await this.idle()
  }

  #isAtRest(): boolean {
    return this.#waiting.size === 0 && this.#running.size === 0
  }

  #planWake(): void {
    if (this.#wakePlanned) return
    this.#wakePlanned = true
    // not at once: the caller may be in the middle of a change
    queueMicrotask(() => {
      this.#wakePlanned = false
      for (const key of this.#waiting) {
        if (this.#running.size >= this.#options.concurrency) break
        this.#waiting.delete(key)
        this.#running.add(key)
        void this.#run(key)
      }
    })
  }

  async #run(key: K): Promise<void> {
    const {reconcile, retry, onError} = this.#options
    try {
      const requeue = await reconcile(key)
      this.#failures.delete(key)
      if (requeue) this.addAfter(key, requeue.afterMs)
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1
      const retryAfterMs = Math.min(retry.maxMs, retry.baseMs * 2 ** Math.min(failures - 1, 40))
      if (!this.#closed) this.#failures.set(key, failures)
      this.addAfter(key, retryAfterMs)
      onError(key, error, {failures, retryAfterMs})
    } finally {
      this.#running.delete(key)
      if (this.#addedWhileRunning.delete(key)) this.#waiting.add(key)
      this.#planWake()
      if (this.#isAtRest()) for (const resolve of this.#restWaiters.splice(0)) resolve()
    }
  }
}
