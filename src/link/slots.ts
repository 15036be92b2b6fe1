import {LinkError} from './link-error.ts'

/** How many calls may wait for a free stream before a further one is turned away. */
const MAX_WAITING = 10_000

/**
 * The streams of one link. Long ones (no end in sight: logs, terminals) get at most `maxLong` of them, so that the short
 * calls, without which nothing works, always find one.
 */
export class Slots {
  readonly #max: number
  readonly #maxLong: number
  #taken = 0
  #long = 0
  readonly #waiting = new Map<() => void, (error: Error) => void>()

  constructor({max, maxLong}: {max: number; maxLong: number}) {
    this.#max = max
    this.#maxLong = maxLong
  }

  /** Resolves with the function that gives the slot back (once). Throws `LinkError` `busy`; long ones never wait. */
  async take(isLong: boolean, signal: AbortSignal): Promise<() => void> {
    if (isLong && (this.#long >= this.#maxLong || this.#taken >= this.#max))
      throw new LinkError('busy', `${this.#long} long streams are open on this link; no more are let in.`)
    if (this.#taken >= this.#max) await this.#turn(signal)
    else this.#taken++
    if (isLong) this.#long++
    let held = true
    return () => {
      if (!held) return
      held = false
      if (isLong) this.#long--
      const [next] = this.#waiting.keys()
      if (next) next()
      else this.#taken--
    }
  }

  /** Turns away all that wait. */
  close(error: Error): void {
    for (const reject of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }

  #turn(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= MAX_WAITING) throw new LinkError('busy', `${MAX_WAITING} calls wait on this link.`)
    return new Promise((resolve, reject) => {
      const go = () => {
        this.#waiting.delete(go)
        signal.removeEventListener('abort', stop)
        resolve()
      }
      const stop = () => {
        this.#waiting.delete(go)
        reject(signal.reason)
      }
      this.#waiting.set(go, reject)
      signal.addEventListener('abort', stop, {once: true})
    })
  }
}
