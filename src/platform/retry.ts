import {type Clock, sleep, systemClock} from './clock.ts'

export interface BackOff {
  baseMs?: number
  maxMs?: number
  /** 0 ≤ x < 1 */
  random?: () => number
}

/**
 * How long to wait after the n-th failure (0, 1, 2 …): anywhere between 0 and min(maxMs, baseMs · 2ⁿ). Full jitter, so
 * that a fleet that lost its server together does not come back together.
 */
export function backoffMs(attempt: number, {baseMs = 200, maxMs = 7_000, random = Math.random}: BackOff = {}): number {
  return Math.floor(random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 40)))
}

export interface RetryOptions extends BackOff {
  /** No new attempt is begun once this much time has passed since the first. */
  budgetMs: number
  clock?: Clock
  signal?: AbortSignal
  /** Default: every failure is worth another try. */
  isRetryable?: (error: unknown) => boolean
}

/** Repeats `fn` until it succeeds, the failure is final, or the budget is spent; then throws its last failure. */
export async function retry<T>(fn: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const {budgetMs, clock = systemClock, signal, isRetryable = () => true, ...backOff} = options
  const startMs = clock.monotonic()
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted()
    try {
      return await fn(attempt)
    } catch (error) {
      const waitMs = backoffMs(attempt, backOff)
      const spentMs = clock.monotonic() - startMs
      if (signal?.aborted || !isRetryable(error) || spentMs + waitMs > budgetMs) throw error
      await sleep(clock, waitMs, signal)
    }
  }
}
