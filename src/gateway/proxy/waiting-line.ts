import {problem} from '../../domain/errors.ts'

interface Waiter<T, S> {
  /** Undefined: not yet. Throws what the waiter shall be told. */
  attempt: (state: S) => T | undefined
  settle: (outcome: {value: T} | {error: unknown}) => void
}

interface Patience {
  signal: AbortSignal
  waitMs: number
  /** What is thrown when the time is over. */
  tooLate: () => Error
}

/** How often those who wait look for themselves, beside being called when a place is free. */
const lookEveryMs = 1_000

/**
 * First come, first served, at most `most` at a time. A waiter whose turn has not come does not keep those behind it,
 * who may want something else.
 */
export class WaitingLine<T, S> {
  readonly #most: number
  /** Given to those who are refused. */
  readonly #retryAfterSeconds: number
  readonly #waiters = new Set<Waiter<T, S>>()
  readonly #read: () => Promise<S>
  #timer: NodeJS.Timeout | undefined

  /** `read` gives what the attempts look at. */
  constructor({most, retryAfterSeconds, read}: {most: number; retryAfterSeconds: number; read: () => Promise<S>}) {
    this.#most = most
    this.#retryAfterSeconds = retryAfterSeconds
    this.#read = read
  }

  get length(): number {
    return this.#waiters.size
  }

  /** Throws queue_full, `tooLate`, the signal's reason, or what the attempt throws. */
  wait(attempt: (state: S) => T | undefined, {signal, waitMs, tooLate}: Patience): Promise<T> {
    if (this.#waiters.size >= this.#most) throw problem('queue_full', {seconds: this.#retryAfterSeconds})
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const leave = () => waiter.settle({error: signal.reason})
      const timer = setTimeout(() => waiter.settle({error: tooLate()}), waitMs)
      const waiter: Waiter<T, S> = {
        attempt,
        settle: outcome => {
          this.#remove(waiter)
          clearTimeout(timer)
          signal.removeEventListener('abort', leave)
          if ('value' in outcome) resolve(outcome.value)
          else reject(outcome.error)
        },
      }
      signal.addEventListener('abort', leave, {once: true})
      this.#waiters.add(waiter)
      this.#timer ??= setInterval(() => void this.look(), lookEveryMs)
    })
  }

  /** Lets each one try, in the order in which they came. Call it when a place is free. */
  async look(): Promise<void> {
    let state: S
    try {
      state = await this.#read()
    } catch (error) {
      for (const waiter of [...this.#waiters]) waiter.settle({error})
      return
    }
    for (const waiter of [...this.#waiters]) {
      // Another one's turn may have let it go: what it took now would never be given back.
      if (this.#waiters.has(waiter)) this.#try(waiter, state)
    }
  }

  #try(waiter: Waiter<T, S>, state: S): void {
    try {
      const value = waiter.attempt(state)
      if (value !== undefined) waiter.settle({value})
    } catch (error) {
      waiter.settle({error})
    }
  }

  #remove(waiter: Waiter<T, S>): void {
    this.#waiters.delete(waiter)
    if (this.#waiters.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
