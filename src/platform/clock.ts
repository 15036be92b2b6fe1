/** A timer that can be called off. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void
}

/** Where the program gets its time from, so that a test can be its own clock. */
export interface Clock {
  /** Wall time, milliseconds since 1970; may jump. */
  now(): number
  /** Milliseconds since an arbitrary moment; never goes back. Measure durations with this one. */
  monotonic(): number
  /** Runs `fn` once after `afterMs`. With `unref` the timer alone does not keep the process alive. */
  setTimeout(fn: () => void, afterMs: number, options?: {unref?: boolean}): Timer
}

/** Node fires at once, instead of in 25 days, when it is given more than this. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(fn, afterMs, {unref = false} = {}) {
    let timer: NodeJS.Timeout
    const arm = (leftMs: number) => {
      const stepMs = Math.min(leftMs, LONGEST_TIMER_MS)
      timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : fn()), stepMs)
      if (unref) timer.unref()
    }
    arm(Math.max(0, afterMs))
    return {cancel: () => clearTimeout(timer)}
  },
}

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #nowMs: number
  #monotonicMs = 0
  #order = 0
  readonly #timers = new Set<{dueMs: number; order: number; fn: () => void}>()

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  setTimeout(fn: () => void, afterMs: number): Timer {
    const timer = {dueMs: this.#monotonicMs + Math.max(0, afterMs), order: this.#order++, fn}
    this.#timers.add(timer)
    return {cancel: () => void this.#timers.delete(timer)}
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size
  }

  /** Moves both times forward and fires what falls due on the way, in order, each at its own moment. */
  advance(ms: number): void {
    const endMs = this.#monotonicMs + ms
    for (;;) {
      const [next] = [...this.#timers]
        .filter(timer => timer.dueMs <= endMs)
        .sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)
      if (!next) break
      this.#timers.delete(next)
      this.#moveTo(next.dueMs)
      next.fn()
    }
    this.#moveTo(endMs)
  }

  /** Sets the wall time back or forward, as an operator or NTP does; timers and `monotonic` do not notice. */
  jump(ms: number): void {
    this.#nowMs += ms
  }

  #moveTo(monotonicMs: number): void {
    this.#nowMs += monotonicMs - this.#monotonicMs
    this.#monotonicMs = monotonicMs
  }
}

/** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, {once: true})
  })
}
