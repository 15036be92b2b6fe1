import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {User} from '../../contract/schemas/auth.ts'
import type {Caller} from '../caller.ts'
import {CaptchaDesk, captchaLength} from '../captcha.ts'
import {problem} from '../errors.ts'
import type {Recorder} from '../journal.ts'
import {KnownTokens} from '../known-tokens.ts'
import type {LoginGuard} from '../login-guard.ts'
import type {SshKeyRecord, UserRecord} from '../ports.ts'
import type {SessionClaims} from '../security-ports.ts'
import {fingerprintOf} from '../ssh-key.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {hasExpired} from './keys.ts'
import type {LoginOptions, Peer, Services} from './services.ts'

type Identity = Omit<Caller, 'requestId' | 'address' | 'idempotencyKey'>

const sessionSeconds = 12 * 60 * 60
/** Misses of an hour after which a login that can show a picture must (security T11). */
const captchaAfter = 3
const ticketMs = 60_000
const mostTickets = 10_000
/** More logouts than this at a time end all logins of their user instead. */
const mostRevoked = 5_000
const revokedSetting = 'auth.revoked'
/** `lastUsedAt` of a token is not written more often than this. */
const touchEveryMs = 60_000
export const audience = 'gpuctl'

/** Who somebody is: passwords, login tokens, API tokens, tickets. */
export class AuthService {
  readonly #deps: ServiceDependencies
  readonly #guard: LoginGuard
  readonly #captchas: CaptchaDesk
  readonly #tickets = new Map<string, {path: string; identity: Identity; tokenVersion: number; untilMs: number}>()
  readonly #tokens: KnownTokens
  readonly #touched = new Map<string, number>()
  /** jti → when its token would have expired, seconds. */
  #revoked: Promise<Map<string, number>> | undefined

  constructor(deps: ServiceDependencies, guard: LoginGuard) {
    this.#deps = deps
    this.#guard = guard
    this.#captchas = new CaptchaDesk(deps)
    this.#tokens = new KnownTokens(deps)
  }

  methods(): Omit<Services['auth'], 'register' | 'changePassword' | 'browserLink' | 'redeemLink'> {
    return {
      login: (input, peer, options) => this.login(input, peer, options),
      captcha: peer => this.#captcha(peer),
      renew: async (caller, rule) => this.#renew(caller, rule),
      authenticate: credential => this.authenticate(credential),
      passwordLogin: (input, peer) => this.#passwordLogin(input, peer),
      findKey: (username, blob) => this.#findKey(username, blob),
      keyLogin: (username, blob, peer) => this.#keyLogin(username, blob, peer),
      redeemTicket: async (ticket, path) => this.#redeemTicket(ticket, path),
      logout: (input, caller) => this.logout(input, caller),
      whoami: (_, caller) => this.#whoami(caller),
      streamTicket: ({path}, caller) => this.#streamTicket(path, caller),
    }
  }

  async login(
    {username, password}: InputOf<'auth.login'>,
    peer: Peer,
    {ttlSeconds = sessionSeconds, callsPerMinute, captcha}: LoginOptions = {},
  ): Promise<OutputOf<'auth.login'>> {
    if (callsPerMinute !== undefined) this.#guard.countCall(peer.address, callsPerMinute)
    const user = await this.#check(username, password, peer, captcha)
    const session = this.session(user, ttlSeconds)
    await this.#deps.journal.change((_, record) => record.audit({...peer, username}, 'auth.login', user.id))
    return session
  }

  /** Throws login_failed, account_disabled, captcha_wrong, too_many, too_busy. */
  async #check(username: string, password: string, peer: Peer, captcha?: LoginOptions['captcha']): Promise<UserRecord> {
    const {store, passwords} = this.#deps
    const user = await store.users.findByName(username)
    const isCaptchaDue = captcha !== undefined && this.#guard.lately(username, peer.address) >= captchaAfter
    const isCaptchaRight = captcha !== undefined && this.#captchas.redeem(captcha, peer.address)
    let isPasswordRight = false
    const isRight = await this.#guard.attempt(username, peer.address, async () => {
      if (isCaptchaDue && !isCaptchaRight) return false
      if (user) isPasswordRight = await passwords.verify(user.passwordHash, password)
      else await passwords.verifyDummy(password)
      return isPasswordRight && user?.enabled === true
    })
    if (isCaptchaDue && !isCaptchaRight) throw problem('captcha_wrong', {})
    // Only who knows the password learns that the account is there.
    if (isPasswordRight && user?.enabled === false) throw problem('account_disabled', {name: username})
    if (!isRight || !user) throw problem('login_failed', {})
    return user
  }

  async #passwordLogin({username, password}: InputOf<'auth.login'>, peer: Peer): Promise<Caller> {
    return {...connected(await this.#check(username, password, peer)), ...peer}
  }

  async #findKey(username: string, blob: Uint8Array): Promise<SshKeyRecord | undefined> {
    const {store, clock} = this.#deps
    const user = await store.users.findByName(username)
    const key = user?.enabled ? await store.sshKeys.findByFingerprint(user.id, fingerprintOf(blob)) : undefined
    return key && !hasExpired(key, clock.now()) ? key : undefined
  }

  async #keyLogin(username: string, blob: Uint8Array, peer: Peer): Promise<Caller> {
    const user = await this.#deps.store.users.findByName(username)
    const key = await this.#findKey(username, blob)
    if (!user?.enabled || key?.ownerId !== user.id) throw problem('login_failed', {})
    return {...connected(user), ...peer, keyId: key.id}
  }

  async #captcha({address}: Peer): ReturnType<Services['auth']['captcha']> {
    const {id, picture} = await this.#captchas.draw(address)
    return {id, picture, length: captchaLength, isNeeded: this.#guard.latelyFrom(address) >= captchaAfter}
  }

  async #renew(caller: Caller, {ttlSeconds, leftSeconds}: {ttlSeconds: number; leftSeconds: number}) {
    const {clock, store} = this.#deps
    const {credential, lifeSeconds, expiresAt, id} = caller
    if (credential !== 'login' || lifeSeconds !== ttlSeconds || expiresAt === null) return undefined
    if (Date.parse(expiresAt) - clock.now() > leftSeconds * 1000) return undefined
    const user = await store.users.find(id)
    return user?.enabled ? this.session(user, ttlSeconds) : undefined
  }

  async authenticate(credential: string): Promise<Identity> {
    return /^(gpt|sk)_/.test(credential) ? this.#byToken(credential) : this.#bySession(credential)
  }

  /** A fresh login of the user. */
  session(user: UserRecord, ttlSeconds?: number): OutputOf<'auth.login'> {
    return this.openSession(user, ttlSeconds).session
  }

  /** The same, with the id by which it can be ended. */
  openSession(user: UserRecord, ttlSeconds = sessionSeconds): {session: OutputOf<'auth.login'>; jti: string} {
    const {clock, secrets, sessions, server} = this.#deps
    const iat = Math.floor(clock.now() / 1000)
    const exp = iat + ttlSeconds
    const {username, role, number: uid, tokenVersion: ver} = user
    const claims: SessionClaims = {
      sub: username,
      uid,
      username,
      role,
      authorityId: role === 'super_admin' ? 888 : 100,
      ver,
      jti: secrets.uuid(),
      iat,
      exp,
      iss: server.id,
      aud: audience,
    }
    const expiresAt = new Date(exp * 1000).toISOString()
    return {session: {token: sessions.sign(claims), expiresAt, user: publicUser(user)}, jti: claims.jti}
  }

  async #bySession(token: string): Promise<Identity> {
    const {sessions, store, server} = this.#deps
    const checked = sessions.verify(token)
    if ('refused' in checked) throw problem(checked.refused === 'expired' ? 'token_expired' : 'token_invalid', {})
    const {sub, uid, ver, jti, iat, exp, iss, aud} = checked.claims
    if (iss !== server.id || aud !== audience) throw problem('token_invalid', {})
    const user = await store.users.findByName(sub)
    if (!user?.enabled || user.number !== uid || user.tokenVersion !== ver) throw problem('token_invalid', {})
    if ((await this.#revocations()).has(jti)) throw problem('token_invalid', {})
    return {
      id: user.id,
      username: user.username,
      role: user.role,
      scopes: ['read', 'write'],
      credential: 'login',
      credentialId: jti,
      expiresAt: new Date(exp * 1000).toISOString(),
      lifeSeconds: exp - iat,
    }
  }

  async #byToken(secret: string): Promise<Identity> {
    const {store, secrets, clock} = this.#deps
    const {token, owner} = (await this.#tokens.find(secrets.sha256(secret))) ?? {}
    if (!token || !owner?.enabled) throw problem('token_invalid', {})
    const nowMs = clock.now()
    if (token.expiresAt !== null && Date.parse(token.expiresAt) <= nowMs) throw problem('token_expired', {})
    if (nowMs - (this.#touched.get(token.id) ?? 0) >= touchEveryMs) {
      this.#touched.set(token.id, nowMs)
      if (this.#touched.size > 10_000) this.#touched.clear()
      // When it was last used is nice to know, and no reason to refuse a call.
      store.tokens.touch(token.id, new Date(nowMs).toISOString()).catch(() => this.#touched.delete(token.id))
    }
    return {
      id: owner.id,
      username: owner.username,
      role: owner.role,
      scopes: token.scopes,
      limits: {requestsPerMinute: token.requestsPerMinute ?? null, concurrency: token.concurrency ?? null},
      credential: 'token',
      credentialId: token.id,
      expiresAt: token.expiresAt,
    }
  }

  /** Ends the login, or deletes the token, of this call. */
  async logout({all}: InputOf<'auth.logout'>, caller: Caller): Promise<{done: true}> {
    const {journal, clock} = this.#deps
    if (caller.credential === 'token') {
      await journal.change(async (tx, record) => {
        if (all) await endLogins(tx.users, caller.id)
        else await tx.tokens.delete(caller.credentialId)
        await noteLogout(record, caller, all === true)
      })
      return {done: true}
    }
    const revoked = await this.#revocations()
    const nowSeconds = clock.now() / 1000
    for (const [jti, exp] of revoked) if (exp + 60 < nowSeconds) revoked.delete(jti)
    const endsAll = all === true || revoked.size >= mostRevoked
    if (!endsAll)
      revoked.set(caller.credentialId, Date.parse(caller.expiresAt ?? '') / 1000 || nowSeconds + sessionSeconds)
    const text = JSON.stringify([...revoked])
    try {
      await journal.change(async (tx, record) => {
        if (endsAll) await endLogins(tx.users, caller.id)
        else await tx.settings.set(revokedSetting, text)
        await noteLogout(record, caller, endsAll)
      })
    } catch (error) {
      this.#revoked = undefined
      throw error
    }
    return {done: true}
  }

  async #whoami(caller: Caller): Promise<OutputOf<'auth.whoami'>> {
    const {users, claims} = this.#deps.store
    const user = await users.find(caller.id)
    if (!user) throw problem('token_invalid', {})
    const {id, username, role, gpuQuota} = user
    const {credential, scopes, expiresAt} = caller
    return {
      id,
      username,
      role,
      gpuQuota,
      gpusHeld: await claims.gpusHeldBy(id),
      credential,
      scopes: [...scopes],
      expiresAt,
    }
  }

  async #streamTicket(path: string, caller: Caller): Promise<OutputOf<'auth.streamTicket'>> {
    const {clock, secrets, store} = this.#deps
    const user = await store.users.find(caller.id)
    if (!user) throw problem('token_invalid', {})
    const untilMs = clock.now() + ticketMs
    for (const [known, {untilMs: end}] of this.#tickets) if (end <= clock.now()) this.#tickets.delete(known)
    if (this.#tickets.size >= mostTickets) throw problem('too_many', {what: 'open tickets', seconds: 60})
    const ticket = `gps_${Buffer.from(secrets.random(32)).toString('base64url')}`
    const {id, username, role, scopes, credential, credentialId, expiresAt} = caller
    const identity = {id, username, role, scopes, credential, credentialId, expiresAt}
    this.#tickets.set(secrets.sha256(ticket), {path, identity, tokenVersion: user.tokenVersion, untilMs})
    return {ticket, expiresAt: new Date(untilMs).toISOString()}
  }

  /** A ticket is worth what the token behind it is worth now: nothing after a logout, a new password, a revocation. */
  async #redeemTicket(ticket: string, path: string): Promise<Identity> {
    const {clock, secrets} = this.#deps
    const key = secrets.sha256(ticket)
    const known = this.#tickets.get(key)
    this.#tickets.delete(key)
    if (!known || known.path !== path || known.untilMs <= clock.now()) throw problem('token_invalid', {})
    const {role} = await this.liveUser(known.identity, known.tokenVersion)
    return {...known.identity, role}
  }

  /** Whose login or token that was. Throws token_invalid where it is worth nothing any more. */
  async liveUser(
    {id, credential, credentialId}: Pick<Identity, 'id' | 'credential' | 'credentialId'>,
    tokenVersion: number,
  ): Promise<UserRecord> {
    const {store} = this.#deps
    const user = await store.users.find(id)
    if (!user?.enabled) throw problem('token_invalid', {})
    const isLive =
      credential === 'token'
        ? (await store.tokens.find(credentialId)) !== undefined
        : user.tokenVersion === tokenVersion && !(await this.#revocations()).has(credentialId)
    if (!isLive) throw problem('token_invalid', {})
    return user
  }

  #revocations(): Promise<Map<string, number>> {
    this.#revoked ??= this.#deps.store.settings.get(revokedSetting).then(
      text => new Map<string, number>(JSON.parse(text ?? '[]')),
      error => {
        this.#revoked = undefined
        throw error
      },
    )
    return this.#revoked
  }
}

/** Of a door that keeps its connection and needs no token. */
function connected({id, username, role}: UserRecord): Identity {
  return {id, username, role, scopes: ['read', 'write'], credential: 'login', credentialId: '', expiresAt: null}
}

/** The event lets the server end the streams that were opened with what is worth nothing now. */
async function noteLogout(record: Recorder, caller: Caller, all: boolean): Promise<void> {
  const named = {id: caller.id, name: caller.username}
  const words = `${caller.username} logged out${all ? ' everywhere' : ''}.`
  await record.event('user', named, 'LoggedOut', words, caller.username)
  await record.audit(caller, 'auth.logout', caller.id, {all})
}

/** Every login token of the user carries the former version, and is worth nothing from now on. */
async function endLogins(users: ServiceDependencies['store']['users'], id: string): Promise<void> {
  const user = await users.lock(id)
  if (user) await users.save({...user, tokenVersion: user.tokenVersion + 1})
}

export function publicUser(user: UserRecord): User {
  const {id, number, createdAt, updatedAt, username, role, enabled, gpuQuota, maxPriority} = user
  return {id, number, createdAt, updatedAt, username, role, enabled, gpuQuota, maxPriority}
}
