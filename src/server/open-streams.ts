import type {Caller} from '../domain/caller.ts'
import {isProblem, problem} from '../domain/errors.ts'
import type {Services} from '../domain/services/services.ts'
import type {ServerSettings} from './settings.ts'

interface OpenStream {
  caller: Caller
  /** What it was opened with, to be shown again; undefined after a ticket. */
  credential: string | undefined
  /** Transfers: forwarded connections and uploads; one browser page opens a dozen. */
  kind: 'events' | 'terminal' | 'transfer'
  /** Rejects when the caller may no longer see what the stream is about. */
  stillAllowed?: () => Promise<unknown>
  end: (why: 'stopping' | 'revoked') => void
}

/**
 * Every stream and terminal that is open: bounded per user and address, looked at again each minute and when its user
 * or token changes (a revoked credential ends its streams), and ended together when the server stops.
 */
export class OpenStreams {
  readonly #services: Services
  readonly #settings: ServerSettings
  readonly #open = new Set<OpenStream>()
  #timer: NodeJS.Timeout | undefined
  readonly #unsubscribe: () => void
  #stopping = false

  constructor(options: {services: Services; settings: ServerSettings}) {
    this.#services = options.services
    this.#settings = options.settings
    this.#unsubscribe = options.services.events.subscribe(({kind, objectId}) => {
      if (kind === 'user') void this.#lookAgain(({caller}) => caller.id === objectId, true)
      if (kind === 'token') void this.#lookAgain(({caller}) => caller.credentialId === objectId, true)
    })
  }

  get size(): number {
    return this.#open.size
  }

  /** Counts the stream in and returns what counts it out. Throws too_many, server_stopping. */
  add(stream: OpenStream): () => void {
    if (this.#stopping) throw problem('server_stopping', {})
    const {maxStreamsPerUser, maxStreamsPerAddress, maxTerminalsPerUser, maxTransfersPerUser} = this.#settings
    const {id, address} = stream.caller
    const others = [...this.#open]
    const ofUser = others.filter(one => one.caller.id === id)
    const ofKind = ofUser.filter(({kind}) => kind === stream.kind).length
    const transfers = ofUser.filter(({kind}) => kind === 'transfer').length
    if (stream.kind === 'transfer' && ofKind >= maxTransfersPerUser) {
      throw problem('too_many', {what: 'open connections and transfers', seconds: 10})
    }
    if (stream.kind === 'terminal' && ofKind >= maxTerminalsPerUser) {
      throw problem('too_many', {what: 'open terminals', seconds: 10})
    }
    const ofAddress = others.filter(one => one.caller.address === address).length
    if (
      (stream.kind !== 'transfer' && ofUser.length - transfers >= maxStreamsPerUser) ||
      ofAddress >= maxStreamsPerAddress
    ) {
      throw problem('too_many', {what: 'open streams', seconds: 10})
    }
    this.#open.add(stream)
    const expiry = atExpiry(stream.caller, () => stream.end('revoked'))
    this.#timer ??= setInterval(() => void this.#lookAgain(() => true, false), this.#settings.recheckMs)
    return () => {
      clearTimeout(expiry)
      this.#open.delete(stream)
      if (this.#open.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** Ends all; from now on there are no new ones. */
  stop(): void {
    this.#stopping = true
    this.#unsubscribe()
    for (const stream of [...this.#open]) stream.end('stopping')
  }

  /** A ticket cannot be shown again: after a change of its user such a stream ends, and its page takes a new ticket. */
  async #lookAgain(concerns: (stream: OpenStream) => boolean, changed: boolean): Promise<void> {
    for (const stream of [...this.#open].filter(concerns)) {
      const {caller, credential, stillAllowed} = stream
      try {
        if (credential) await this.#services.auth.authenticate(credential, caller)
        else if (changed || expired(caller)) throw problem('token_expired', {})
        await stillAllowed?.()
      } catch (error) {
        if (isProblem(error) && ['unauthenticated', 'forbidden', 'not_found'].includes(error.kind))
          stream.end('revoked')
      }
    }
  }
}

function expired({expiresAt}: Caller): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= Date.now()
}

/** Longer than a timer can wait is seen by the look of each minute. */
const longestTimerMs = 2 ** 31 - 1

function atExpiry({expiresAt}: Caller, end: () => void): NodeJS.Timeout | undefined {
  if (expiresAt === null) return undefined
  const leftMs = Date.parse(expiresAt) - Date.now()
  return leftMs > longestTimerMs ? undefined : setTimeout(end, Math.max(0, leftMs))
}
