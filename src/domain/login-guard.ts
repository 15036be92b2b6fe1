import {problem} from './errors.ts'
import type {Clock} from './ports.ts'

/** Accounts and addresses that are remembered; the oldest are forgotten first. */
const mostRemembered = 10_000

/**
 * Slows down who guesses passwords (security T9): 1, 2, 4 … 300 s for an account after five misses, 30 misses in ten
 * minutes for an address, eight checks at once for all. In memory: after a restart everybody starts anew.
 */
export class LoginGuard {
  readonly #clock: Clock
  readonly #accounts = new Map<string, {misses: number; untilMs: number}>()
  readonly #addresses: MissWindow
  /** What the captcha goes by: `account eve`, `address 10.0.0.7`. */
  readonly #lately: MissWindow
  readonly #calls: MissWindow
  #running = 0

  constructor({clock}: {clock: Clock}) {
    this.#clock = clock
    this.#addresses = new MissWindow({clock, most: 30, windowMs: 600_000, blockMs: 600_000})
    this.#lately = new MissWindow({clock, most: Number.POSITIVE_INFINITY, windowMs: 3_600_000, blockMs: 0})
    this.#calls = new MissWindow({clock, most: Number.POSITIVE_INFINITY, windowMs: 60_000, blockMs: 0})
  }

  /** Misses of the last hour, of the account or the address, whichever has more. A right password clears its account. */
  lately(account: string, address: string): number {
    return Math.max(this.#lately.count(`account ${account.toLowerCase()}`), this.latelyFrom(address))
  }

  latelyFrom(address: string): number {
    return this.#lately.count(`address ${address}`)
  }

  /** Counts a call, right or wrong. Throws too_many when the address has made `most` in the last minute. */
  countCall(address: string, most: number): void {
    if (this.#calls.count(address) >= most) throw problem('too_many', {what: 'logins', seconds: 60})
    this.#calls.miss(address)
  }

  /** Checks the password in `check`, unless it is too early. Throws too_many, too_busy. */
  async attempt(account: string, address: string, check: () => Promise<boolean>): Promise<boolean> {
    const key = account.toLowerCase()
    const waitMs = Math.max(
      (this.#accounts.get(key)?.untilMs ?? 0) - this.#clock.now(),
      this.#addresses.blockedForMs(address),
    )
    if (waitMs > 0) throw problem('too_many', {what: 'failed logins', seconds: Math.ceil(waitMs / 1000)})
    return this.bounded(async () => {
      // Counted before it is checked: many tries at once are many misses.
      this.#miss(key)
      const isRight = await check()
      if (isRight) {
        this.#accounts.delete(key)
        this.#lately.forget(`account ${key}`)
      } else {
        this.#addresses.miss(address)
        this.#lately.miss(`account ${key}`)
        this.#lately.miss(`address ${address}`)
      }
      return isRight
    })
  }

  /** Work that costs a password's hash: eight at once for all. Throws too_busy. */
  async bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= 8) throw problem('too_busy', {what: 'logins'})
    this.#running++
    try {
      return await work()
    } finally {
      this.#running--
    }
  }

  #miss(key: string): void {
    const misses = (this.#accounts.get(key)?.misses ?? 0) + 1
    const waitMs = misses < 5 ? 0 : Math.min(300_000, 1_000 * 2 ** Math.min(20, misses - 5))
    this.#accounts.delete(key)
    this.#accounts.set(key, {misses, untilMs: this.#clock.now() + waitMs})
    if (this.#accounts.size > mostRemembered) this.#accounts.delete(this.#accounts.keys().next().value!)
  }
}

/** Counts misses of a key in a window, and blocks it for a while when there were too many. */
export class MissWindow {
  readonly #clock: Clock
  readonly #most: number
  readonly #windowMs: number
  readonly #blockMs: number
  readonly #misses = new Map<string, {times: number[]; blockedUntilMs: number}>()

  constructor({clock, most, windowMs, blockMs}: {clock: Clock; most: number; windowMs: number; blockMs: number}) {
    this.#clock = clock
    this.#most = most
    this.#windowMs = windowMs
    this.#blockMs = blockMs
  }

  blockedForMs(key: string): number {
    return Math.max(0, (this.#misses.get(key)?.blockedUntilMs ?? 0) - this.#clock.now())
  }

  /** Misses within the window. */
  count(key: string): number {
    const nowMs = this.#clock.now()
    return this.#misses.get(key)?.times.filter(at => nowMs - at < this.#windowMs).length ?? 0
  }

  forget(key: string): void {
    this.#misses.delete(key)
  }

  /** True when this miss was one too many. */
  miss(key: string): boolean {
    const nowMs = this.#clock.now()
    const known = this.#misses.get(key) ?? {times: [], blockedUntilMs: 0}
    const times = [...known.times.filter(at => nowMs - at < this.#windowMs), nowMs]
    const isTooMany = times.length >= this.#most
    this.#misses.delete(key)
    this.#misses.set(key, isTooMany ? {times: [], blockedUntilMs: nowMs + this.#blockMs} : {...known, times})
    if (this.#misses.size > mostRemembered) this.#misses.delete(this.#misses.keys().next().value!)
    return isTooMany
  }
}
