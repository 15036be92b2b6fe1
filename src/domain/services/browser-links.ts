import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import {MissWindow} from '../login-guard.ts'
import type {AuthService} from './auth.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Peer, Services} from './services.ts'

const linkMs = 60_000
const mostLinks = 10_000
const longestSessionSeconds = 12 * 60 * 60

interface Link {
  caller: Caller
  tokenVersion: number
  untilMs: number
  uses: number
  /** What it opened. */
  login?: {jti: string; expiresAt: string}
}

/**
 * Links with which `gpuctl open` signs its person in at the dashboard: one use, one minute, kept as hashes in memory. The
 * program that opens a browser has the link in its arguments, where others of the machine can read it: whoever shows a link a
 * second time ends what the first one got.
 */
export class BrowserLinkService {
  readonly #deps: ServiceDependencies
  readonly #auth: AuthService
  readonly #links = new Map<string, Link>()
  readonly #made: MissWindow
  readonly #misses: MissWindow

  constructor(deps: ServiceDependencies, auth: AuthService) {
    this.#deps = deps
    this.#auth = auth
    const {clock} = deps
    this.#made = new MissWindow({clock, most: 20, windowMs: 60_000, blockMs: 60_000})
    this.#misses = new MissWindow({clock, most: 30, windowMs: 600_000, blockMs: 600_000})
  }

  methods(): Pick<Services['auth'], 'browserLink' | 'redeemLink'> {
    return {
      browserLink: (_, caller) => this.#make(caller),
      redeemLink: ({secret}, peer) => this.#redeem(secret, peer),
    }
  }

  async #make(caller: Caller): Promise<OutputOf<'auth.browserLink'>> {
    const {clock, secrets, store, journal} = this.#deps
    refuseWhileBlocked(this.#made, caller.id, 'links')
    this.#made.miss(caller.id)
    const user = await store.users.find(caller.id)
    if (!user) throw problem('token_invalid', {})
    const nowMs = clock.now()
    for (const [known, {untilMs}] of this.#links) if (untilMs <= nowMs) this.#links.delete(known)
    if (this.#links.size >= mostLinks) throw problem('too_many', {what: 'open links', seconds: 60})
    await journal.change((_, record) => record.audit(caller, 'auth.browserLink', user.id))
    const secret = `gpl_${Buffer.from(secrets.random(32)).toString('base64url')}`
    const untilMs = nowMs + linkMs
    this.#links.set(secrets.sha256(secret), {caller, tokenVersion: user.tokenVersion, untilMs, uses: 0})
    return {secret, expiresAt: new Date(untilMs).toISOString()}
  }

  async #redeem(secret: InputOf<'auth.redeemLink'>['secret'], peer: Peer): Promise<OutputOf<'auth.redeemLink'>> {
    const {clock, secrets, journal} = this.#deps
    refuseWhileBlocked(this.#misses, peer.address, 'wrong links')
    const key = secrets.sha256(secret)
    const link = this.#links.get(key)
    if (!link || link.untilMs <= clock.now()) {
      this.#misses.miss(peer.address)
      throw problem('link_invalid', {})
    }
    link.uses += 1
    if (link.uses > 1) {
      this.#links.delete(key)
      await this.#burn(link, peer)
      throw problem('link_invalid', {})
    }
    const {caller} = link
    const user = await this.#auth.liveUser(caller, link.tokenVersion)
    // It ends with the login that it came from, so that no chain of links outlives it.
    const leftMs = caller.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(caller.expiresAt) - clock.now()
    const seconds = Math.min(longestSessionSeconds, Math.floor(leftMs / 1000))
    const {session, jti} = this.#auth.openSession(user, seconds)
    link.login = {jti, expiresAt: session.expiresAt}
    const {username} = user
    await journal.change((_, record) => record.audit({...peer, username}, 'auth.redeemLink', user.id))
    if (link.uses > 1) throw problem('link_invalid', {})
    return session
  }

  async #burn({caller, login}: Link, peer: Peer): Promise<void> {
    const {username, id} = caller
    const {journal} = this.#deps
    await journal.change((_, record) => record.audit({...peer, username}, 'security.link_shown_twice', id))
    if (!login) return
    const {jti: credentialId, expiresAt} = login
    await this.#auth.logout({}, {...caller, ...peer, credential: 'login', credentialId, expiresAt})
  }
}

function refuseWhileBlocked(window: MissWindow, key: string, what: string): void {
  const waitMs = window.blockedForMs(key)
  if (waitMs > 0) throw problem('too_many', {what, seconds: Math.ceil(waitMs / 1000)})
}
