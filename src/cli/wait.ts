import {setTimeout as delay} from 'node:timers/promises'
import {ApiError, UnreachableError} from '../client/api-error.ts'
import {exitCode} from './exit-codes.ts'
import {Failure} from './failure.ts'
import {Progress} from './progress.ts'
import type {WakeEvents} from './wake-events.ts'

export interface Waiting<T> {
  look: (signal: AbortSignal) => Promise<T>
  /** True when it is as wanted. May throw a Failure when that can no longer come. */
  isDone: (seen: T) => boolean
  /** What to show while it is not; asked after each look. */
  describe: (seen: T, signal: AbortSignal) => string | Promise<string>
  /** Milliseconds; 0 = look once; undefined = for ever. */
  timeoutMs?: number
  /** A command with which to go on after Ctrl-C or a timeout. */
  goOn?: string
  /** A command that ends what was waited for. */
  end?: string
  quiet: boolean
  /** So long a server that has answered may be away, as while it is restarted; 60 s unless given. */
  mostAwayMs?: number
  /** What may wake it before its pause is over; asked for when the first look was not enough. */
  events?: () => WakeEvents | undefined
}

/** Pauses between looks; the longest one where events wake it as well. */
const pace = {firstMs: 100, mostMs: 1_000, besideEventsMs: 5_000, growth: 1.3}

/**
 * Looks again and again until it is as wanted, also past a restart of the server. After `timeoutMs` it fails with exit 124, at Ctrl-C with 130; what was
 * waited for goes on in either case.
 */
export async function waitFor<T>({
  look,
  isDone,
  describe,
  timeoutMs,
  goOn,
  end,
  quiet,
  mostAwayMs = 60_000,
  ...rest
}: Waiting<T>): Promise<T> {
  const progress = new Progress({quiet})
  const stop = new AbortController()
  const interrupt = () => stop.abort('interrupted')
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const timer = timeoutMs ? setTimeout(() => stop.abort('timed out'), Math.min(timeoutMs, 2 ** 31 - 1)) : undefined
  try {
    let events: WakeEvents | undefined
    let answeredAt: number | undefined
    for (let pauseMs = pace.firstMs; ; pauseMs *= pace.growth) {
      let seen: T
      try {
        seen = await look(stop.signal)
      } catch (error) {
        if (stop.signal.aborted || answeredAt === undefined || !isAway(error)) throw error
        if (performance.now() - answeredAt > mostAwayMs) throw lost(error, goOn)
        progress.step(`${error.message} Asking again.`)
        await delay(pace.mostMs, undefined, {signal: stop.signal})
        continue
      }
      answeredAt = performance.now()
      if (isDone(seen)) return seen
      progress.step(await describe(seen, stop.signal))
      if (timeoutMs === 0) throw timedOut(goOn)
      if (pauseMs === pace.firstMs) {
        events = rest.events?.()
        void events?.follow(stop.signal)
      }
      if (events?.isLive) {
        // Of many events in a row the first one is enough.
        await delay(pace.firstMs, undefined, {signal: stop.signal})
        await events.next({mostMs: Math.min(pauseMs, pace.besideEventsMs), signal: stop.signal})
      } else await delay(Math.min(pauseMs, pace.mostMs), undefined, {signal: stop.signal})
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
    if (stop.signal.reason === 'timed out') throw timedOut(goOn)
    throw new Failure('interrupted', 'Stopped waiting; it goes on.', {
      exitCode: exitCode.interrupted,
      hint: goOn && `Wait again with \`${goOn}\`${end ? `, or end it with \`${end}\`` : ''}.`,
    })
  } finally {
    progress.end()
    clearTimeout(timer)
    stop.abort('over')
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

/** A server that is being restarted, or a proxy before it. */
function isAway(error: unknown): error is Error {
  if (error instanceof ApiError) return [502, 503, 504].includes(error.status)
  return error instanceof UnreachableError && ['server_unreachable', 'server_silent'].includes(error.code)
}

function lost({message}: Error, goOn: string | undefined): Failure {
  const hint = goOn && `When the server is back, go on with \`${goOn}\`.`
  return new Failure('server_unreachable', message, {exitCode: exitCode.unreachable, hint})
}

function timedOut(goOn: string | undefined): Failure {
  const hint = goOn && `It goes on; wait again with \`${goOn}\`.`
  return new Failure('wait_timed_out', 'It did not happen in time.', {exitCode: exitCode.timedOut, hint})
}
