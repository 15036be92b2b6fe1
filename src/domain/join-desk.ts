import {problem} from './errors.ts'
import {MissWindow} from './login-guard.ts'
import type {Clock} from './ports.ts'
import {drawCode} from './registration-code.ts'
import type {Secrets} from './security-ports.ts'

/** security 3.1, item 5. */
export const joinLimits = {
  pendingPerAddress: 8,
  pendingInAll: 256,
  waitMs: 15 * 60_000,
  collectMs: 10 * 60_000,
  missesPerAddress: 10,
  missWindowMs: 10 * 60_000,
  blockMs: 15 * 60_000,
  missesPerMinuteInAll: 60,
}

interface Waiting {
  nodeId: string
  code: string
  address: string
  untilMs: number
  isPending: boolean
  /** Came with a join token: not counted against the limits. */
  isInvited: boolean
}

/** The requests that wait and the codes that live, in memory, so that a flood costs no disk. The store has them, too. */
export class JoinDesk {
  readonly #clock: Clock
  readonly #secrets: Pick<Secrets, 'random'>
  readonly #waiting = new Map<string, Waiting>()
  readonly #misses: MissWindow
  readonly #missesOfAll: MissWindow

  constructor({clock, secrets}: {clock: Clock; secrets: Pick<Secrets, 'random'>}) {
    this.#clock = clock
    this.#secrets = secrets
    const {missesPerAddress: most, missWindowMs: windowMs, blockMs, missesPerMinuteInAll} = joinLimits
    this.#misses = new MissWindow({clock, most, windowMs, blockMs})
    this.#missesOfAll = new MissWindow({clock, most: missesPerMinuteInAll, windowMs: 60_000, blockMs})
  }

  /** Draws a code and keeps it until `settle` or `forget`. Throws too_many. */
  admit(nodeId: string, address: string, isInvited: boolean): {code: string; expiresAt: string} {
    if (!isInvited) this.#checkRoom(address)
    const code = drawCode(
      [...this.#waiting.values()].map(one => one.code),
      this.#secrets.random,
    )
    const untilMs = this.#clock.now() + joinLimits.waitMs
    this.#waiting.set(nodeId, {nodeId, code, address, untilMs, isPending: true, isInvited})
    return {code, expiresAt: new Date(untilMs).toISOString()}
  }

  /** One from the store, at start. */
  restore(nodeId: string, code: string, address: string, expiresAt: string, isPending: boolean): void {
    this.#waiting.set(nodeId, {nodeId, code, address, untilMs: Date.parse(expiresAt), isPending, isInvited: false})
  }

  /** Approved: the code lives on until its key is fetched. */
  approved(nodeId: string, untilMs: number): void {
    const one = this.#waiting.get(nodeId)
    if (one) this.#waiting.set(nodeId, {...one, untilMs, isPending: false})
  }

  forget(nodeId: string): void {
    this.#waiting.delete(nodeId)
  }

  /** Whose time is over. */
  expired(): string[] {
    const nowMs = this.#clock.now()
    return [...this.#waiting.values()].filter(({untilMs}) => untilMs <= nowMs).map(({nodeId}) => nodeId)
  }

  /** True when the server as a whole has had too many misses: then a code alone says nothing any more. */
  get isUnderAttack(): boolean {
    return this.#missesOfAll.blockedForMs('all') > 0
  }

  /** Throws too_many while the address is blocked for its misses. */
  checkAddress(address: string): void {
    const blockedMs = this.#misses.blockedForMs(address)
    if (blockedMs > 0) throw problem('too_many', {what: 'wrong codes', seconds: Math.ceil(blockedMs / 1000)})
  }

  /** True when the server as a whole has just had one too many. */
  miss(address: string): boolean {
    this.#misses.miss(address)
    return !this.isUnderAttack && this.#missesOfAll.miss('all')
  }

  #checkRoom(address: string): void {
    const nowMs = this.#clock.now()
    let own = 0
    let all = 0
    let soonestMs = Number.POSITIVE_INFINITY
    for (const one of this.#waiting.values()) {
      if (!one.isPending || one.isInvited || one.untilMs <= nowMs) continue
      all++
      if (one.address === address) own++
      soonestMs = Math.min(soonestMs, one.untilMs)
    }
    if (own < joinLimits.pendingPerAddress && all < joinLimits.pendingInAll) return
    const seconds = Math.max(1, Math.ceil((soonestMs - nowMs) / 1000))
    throw problem('too_many', {what: 'join requests that wait for approval', seconds})
  }
}
