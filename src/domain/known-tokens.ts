import type {TokenRecord, UserRecord} from './ports.ts'
import type {ServiceDependencies} from './services/dependencies.ts'

export interface KnownToken {
  token: TokenRecord
  owner: UserRecord
}

/** A program beside the server may change the store too, as `server user-reset-password` does. */
const freshMs = 1_000
const mostKnown = 10_000

/** API tokens with their owners, read again after each change of the store: a call of `/v1` then reads nothing. */
export class KnownTokens {
  readonly #deps: Pick<ServiceDependencies, 'store' | 'journal' | 'clock'>
  readonly #known = new Map<string, KnownToken & {revision: number; readAtMs: number}>()

  constructor(deps: Pick<ServiceDependencies, 'store' | 'journal' | 'clock'>) {
    this.#deps = deps
  }

  /** By the SHA-256 of its secret. */
  async find(secretHash: string): Promise<KnownToken | undefined> {
    const {store, journal, clock} = this.#deps
    const known = this.#known.get(secretHash)
    // Before it is read, so that a change meanwhile counts as a later one.
    const {revision} = journal
    const nowMs = clock.now()
    if (known && known.revision === revision && Math.abs(nowMs - known.readAtMs) < freshMs) return known
    const token = await store.tokens.findBySecretHash(secretHash)
    const owner = token && (await store.users.find(token.ownerId))
    this.#known.delete(secretHash)
    if (!token || !owner) return undefined
    if (this.#known.size >= mostKnown) this.#known.clear()
    const found = {token, owner, revision, readAtMs: nowMs}
    this.#known.set(secretHash, found)
    return found
  }
}
