import {problem} from './errors.ts'
import {MissWindow} from './login-guard.ts'
import type {Clock} from './ports.ts'
import type {CaptchaPainter, Secrets} from './security-ports.ts'

export const captchaLength = 6

const lifeMs = 2 * 60_000
/** Pictures that are open at once, in all and for one address; the oldest goes first. */
const mostOpen = 10_000
const mostPerAddress = 8

interface Open {
  digits: string
  address: string
  untilMs: number
}

/** Pictures of digits (security T11): each is good for two minutes, for one try, and for the address that it was drawn for. */
export class CaptchaDesk {
  readonly #clock: Clock
  readonly #secrets: Secrets
  readonly #painter: CaptchaPainter
  readonly #drawings: MissWindow
  readonly #open = new Map<string, Open>()

  constructor({clock, secrets, captchaPainter}: {clock: Clock; secrets: Secrets; captchaPainter: CaptchaPainter}) {
    this.#clock = clock
    this.#secrets = secrets
    this.#painter = captchaPainter
    this.#drawings = new MissWindow({clock, most: 60, windowMs: 60_000, blockMs: 60_000})
  }

  /** A new picture as a `data:` URL. Throws too_many: 60 a minute for an address. */
  async draw(address: string): Promise<{id: string; picture: string}> {
    const blockedMs = this.#drawings.blockedForMs(address)
    if (blockedMs > 0) throw problem('too_many', {what: 'captchas', seconds: Math.ceil(blockedMs / 1000)})
    this.#drawings.miss(address)
    const digits = this.#digits()
    const picture = await this.#painter.draw(digits)
    const id = this.#secrets.uuid()
    this.#makeRoom(address)
    this.#open.set(id, {digits, address, untilMs: this.#clock.now() + lifeMs})
    return {id, picture}
  }

  /** Whether the digits are those of the picture. Whatever the answer, the picture is used up. */
  redeem({id, digits}: {id: string; digits: string}, address: string): boolean {
    const known = this.#open.get(id)
    this.#open.delete(id)
    return (
      known !== undefined && known.address === address && known.untilMs > this.#clock.now() && known.digits === digits
    )
  }

  #digits(): string {
    let digits = ''
    while (digits.length < captchaLength) {
      const [byte = 255] = this.#secrets.random(1)
      // 250 and above would make some digits likelier than others.
      if (byte < 250) digits += byte % 10
    }
    return digits
  }

  #makeRoom(address: string): void {
    const nowMs = this.#clock.now()
    for (const [id, {untilMs}] of this.#open) {
      if (untilMs > nowMs) break
      this.#open.delete(id)
    }
    const own = [...this.#open].filter(([, one]) => one.address === address)
    if (own.length >= mostPerAddress) this.#open.delete(own[0]![0])
    else if (this.#open.size >= mostOpen) this.#open.delete(this.#open.keys().next().value!)
  }
}
