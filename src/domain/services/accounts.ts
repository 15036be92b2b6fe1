import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {User} from '../../contract/schemas/auth.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import {type LoginGuard, MissWindow} from '../login-guard.ts'
import {readSetting} from '../server-settings.ts'
import {checkPassword, noteWeakness} from '../weak-passwords.ts'
import {type AuthService, publicUser} from './auth.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Peer, Services} from './services.ts'
import {insertUser} from './users.ts'

/** Tries of one address in an hour (T10). */
const registrationsPerHour = 10
const hourMs = 60 * 60_000

/** What people do about their own accounts. */
export class AccountService {
  readonly #deps: ServiceDependencies
  readonly #guard: LoginGuard
  readonly #auth: Pick<AuthService, 'session'>
  readonly #tries: MissWindow

  constructor(deps: ServiceDependencies, parts: {guard: LoginGuard; auth: Pick<AuthService, 'session'>}) {
    this.#deps = deps
    this.#guard = parts.guard
    this.#auth = parts.auth
    const {clock} = deps
    this.#tries = new MissWindow({clock, most: registrationsPerHour, windowMs: hourMs, blockMs: hourMs})
  }

  methods(): Pick<Services['auth'], 'register' | 'changePassword'> {
    return {
      register: (input, peer) => this.#register(input, peer),
      changePassword: (input, caller) => this.#changePassword(input, caller),
    }
  }

  /**
   * Who may not register learns nothing about names (T10), and who may begins with a quota of no GPU (T13). Throws
   * registration_closed, invitation_needed, name_taken, password_weak, too_many.
   */
  async #register({username, password, invitation}: InputOf<'auth.register'>, peer: Peer): Promise<User> {
    const {store, journal, passwords, secrets, clock, server} = this.#deps
    const blockedMs = this.#tries.blockedForMs(peer.address)
    if (blockedMs > 0) throw problem('too_many', {what: 'registrations', seconds: Math.ceil(blockedMs / 1000)})
    this.#tries.miss(peer.address)
    const {value: rule} = await readSetting('auth.registration', {settings: store.settings, server})
    if (rule === 'closed') throw problem('registration_closed', {})
    if (rule === 'invite' && !invitation) throw problem('invitation_needed', {})
    checkPassword(password, username)
    const passwordHash = await this.#guard.bounded(() => passwords.hash(password))
    const user = await journal.change(async (tx, record) => {
      if (rule === 'invite') {
        const now = new Date(clock.now()).toISOString()
        const used = await tx.joinTokens.use(secrets.sha256(invitation ?? ''), now)
        if (used?.admits !== 'users') throw problem('invitation_needed', {})
      }
      const made = await insertUser(this.#deps, tx, record, {username, password, passwordHash, gpuQuota: 0}, username)
      await record.audit({...peer, username}, 'auth.register', made.id, {username})
      return made
    })
    return publicUser(user)
  }

  /** Ends every login of the user at once (T7); the one who changed it goes on with the login that is answered. */
  async #changePassword(
    {current, password}: InputOf<'auth.changePassword'>,
    caller: Caller,
  ): Promise<OutputOf<'auth.changePassword'>> {
    const {store, journal, passwords, clock} = this.#deps
    const found = await store.users.find(caller.id)
    if (!found) throw problem('token_invalid', {})
    checkPassword(password, found.username)
    const isRight = await this.#guard.attempt(found.username, caller.address, () =>
      passwords.verify(found.passwordHash, current),
    )
    if (!isRight) {
      const fix = 'Give the password that holds now.'
      throw problem('input_invalid', {field: 'current', problem: 'is not your password', fix})
    }
    const passwordHash = await this.#guard.bounded(() => passwords.hash(password))
    const user = await journal.change(async (tx, record) => {
      const before = await tx.users.lock(found.id)
      if (!before?.enabled) throw problem('token_invalid', {})
      // An administrator gave another one meanwhile: the one that was checked is worth nothing any more.
      if (before.passwordHash !== found.passwordHash) {
        throw problem('input_invalid', {field: 'current', problem: 'was changed meanwhile', fix: 'Log in again.'})
      }
      const updatedAt = new Date(clock.now()).toISOString()
      const after = {...before, passwordHash, tokenVersion: before.tokenVersion + 1, updatedAt}
      await tx.users.save(after)
      await noteWeakness(tx.settings, after.id, after.username, password)
      const named = {id: after.id, name: after.username}
      await record.event('user', named, 'Changed', `User ${after.username}: password changed.`, caller.username)
      await record.audit(caller, 'auth.changePassword', after.id)
      return after
    })
    return this.#auth.session(user)
  }
}
