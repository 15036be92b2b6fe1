import {type Clock, systemClock} from '../../src/platform/clock.ts'

/** A clock on which so many seconds pass in one; wall time is the true one. For what waits long, with real things around it. */
export function acceleratedClock(factor: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() * factor,
    setTimeout: (fn, afterMs, options) => systemClock.setTimeout(fn, afterMs / factor, options),
  }
}
