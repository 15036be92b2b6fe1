import {randomBytes} from 'node:crypto'

/** Argon2id (the library's default variant), 19 MiB, two passes: OWASP's first choice. */
const COST = {memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32}

/** Too many passwords wait to be checked: answer 429 and let the caller come back. */
export class TooBusy extends Error {
  override readonly name = 'TooBusy'
  readonly retryAfterMs = 2_000
}

/** Hashes and checks passwords, a few at a time: one hash takes 19 MiB and a thread. */
export class Passwords {
  readonly #maxRunning: number
  readonly #maxWaiting: number
  #running = 0
  readonly #waiting: (() => void)[] = []
  /** A well-formed hash that no password has; checking against it costs what a real one costs. */
  readonly #dummy = `$argon2id$v=19$m=${COST.memoryCost},t=${COST.timeCost},p=${COST.parallelism}$${phc(16)}$${phc(32)}`

  constructor({maxRunning = threadsToSpare(), maxWaiting = 64}: {maxRunning?: number; maxWaiting?: number} = {}) {
    this.#maxRunning = Math.min(8, maxRunning)
    this.#maxWaiting = maxWaiting
  }

  /** A PHC string. Throws `TooBusy`. */
  hash(password: string): Promise<string> {
    return this.#inTurn(async () => (await library()).hash(password, COST))
  }

  /** False also for a hash that cannot be read. Throws `TooBusy`. */
  verify(hashed: string, password: string): Promise<boolean> {
    return this.#inTurn(async () => (await library()).verify(hashed, password).catch(() => false))
  }

  /** Takes as long as `verify` and is always false: for a user who does not exist. Throws `TooBusy`. */
  async verifyDummy(password: string): Promise<false> {
    await this.verify(this.#dummy, password)
    return false
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#maxRunning) {
      if (this.#waiting.length >= this.#maxWaiting) throw new TooBusy('Too many logins at once. Try again soon.')
      await new Promise<void>(resolve => this.#waiting.push(resolve)) // the one that ends hands its place over
    } else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}

/** Native code, loaded when the first password comes: a server starts sooner than somebody logs in. */
function library(): Promise<typeof import('@node-rs/argon2')> {
  return import('@node-rs/argon2')
}

/** Hashing shares libuv's pool with files and DNS: one thread stays theirs, whatever the attack. */
function threadsToSpare(): number {
  return Math.max(1, (Number(process.env.UV_THREADPOOL_SIZE) || 4) - 1)
}

function phc(bytes: number): string {
  return randomBytes(bytes).toString('base64').replaceAll('=', '')
}
