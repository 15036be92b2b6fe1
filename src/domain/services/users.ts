import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {User} from '../../contract/schemas/auth.ts'
import type {Caller} from '../caller.ts'
import {livePhases} from '../claim.ts'
import {problem} from '../errors.ts'
import type {Recorder} from '../journal.ts'
import type {Tables, UserRecord} from '../ports.ts'
import {checkPassword, noteWeakness} from '../weak-passwords.ts'
import {publicUser} from './auth.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {NodeKeeping} from './node-keeping.ts'
import {findersAmong, resolve} from './references.ts'
import type {Services} from './services.ts'
import {newSecret, publicJoinToken} from './tokens.ts'

const invitationSeconds = 7 * 24 * 60 * 60

type NewUser = InputOf<'users.create'> & {passwordHash: string}

export class UserService {
  readonly #deps: ServiceDependencies
  readonly #keeping: NodeKeeping

  constructor(deps: ServiceDependencies, keeping: NodeKeeping) {
    this.#deps = deps
    this.#keeping = keeping
  }

  methods(): Services['users'] {
    return {
      list: async () => (await this.#deps.store.users.list()).map(publicUser),
      find: async id => {
        const user = await this.#deps.store.users.find(id)
        return user && publicUser(user)
      },
      create: (input, caller) => this.create(input, caller),
      update: (input, caller) => this.update(input, caller),
      delete: ({id}, caller) => this.#delete(id, caller),
      nodes: async ({id}) => this.#keeping.assigned((await this.find(id)).id),
      assign: async ({id, node}, caller) => this.#keeping.assign(await this.find(id), node, caller),
      unassign: async ({id, node}, caller) => this.#keeping.unassign(await this.find(id), node, caller),
      invite: (input, caller) => this.#invite(input, caller),
      numbers: ids => this.#numbers(ids),
    }
  }

  async create(input: InputOf<'users.create'>, caller: Caller): Promise<User> {
    const {passwords, journal} = this.#deps
    const {password, nodes: references = [], ...fields} = input
    const nodes = await this.#keeping.found(references, caller)
    checkPassword(password, input.username)
    const passwordHash = await passwords.hash(password)
    const user = await journal.change(async (tx, record) => {
      const made = await insertUser(this.#deps, tx, record, {...fields, password, passwordHash}, caller.username)
      await record.audit(caller, 'users.create', made.id, {username: made.username, role: made.role})
      await this.#keeping.give(tx, record, {user: made, nodes, caller})
      return made
    })
    return publicUser(user)
  }

  /** A change of role, password or enabled ends all logins of the user at once (T7). */
  async update({id, password, ...input}: InputOf<'users.update'>, caller: Caller): Promise<User> {
    const {passwords, journal, clock} = this.#deps
    const found = await this.find(id)
    if (password !== undefined) checkPassword(password, found.username)
    const passwordHash = password === undefined ? undefined : await passwords.hash(password)
    const user = await journal.change(async (tx, record) => {
      const before = await tx.users.lock(found.id)
      if (!before) throw problem('not_found', {kind: 'user', name: id})
      const role = input.role ?? before.role
      const enabled = input.enabled ?? before.enabled
      if (role !== 'super_admin' || !enabled) await this.#keepOneAdmin(tx, before)
      const endsLogins = role !== before.role || enabled !== before.enabled || passwordHash !== undefined
      const asked = input.gpuQuota === undefined ? before.gpuQuota : input.gpuQuota
      const after: UserRecord = {
        ...before,
        role,
        enabled,
        gpuQuota: quotaOf(role, asked),
        maxPriority: input.maxPriority ?? before.maxPriority,
        passwordHash: passwordHash ?? before.passwordHash,
        tokenVersion: before.tokenVersion + (endsLogins ? 1 : 0),
        updatedAt: new Date(clock.now()).toISOString(),
      }
      await tx.users.save(after)
      if (password !== undefined) await noteWeakness(tx.settings, after.id, after.username, password)
      const changed = [...Object.keys(input), ...(password === undefined ? [] : ['password'])]
      const name = {id: after.id, name: after.username}
      await record.event(
        'user',
        name,
        'Changed',
        `User ${after.username}: ${changed.join(', ')} changed.`,
        caller.username,
      )
      await record.audit(caller, 'users.update', after.id, {...input, password: password !== undefined})
      return after
    })
    return publicUser(user)
  }

  async #delete(id: string, caller: Caller): Promise<{done: true}> {
    const found = await this.find(id)
    await this.#deps.journal.change(async (tx, record) => {
      const user = await tx.users.lock(found.id)
      if (!user) throw problem('not_found', {kind: 'user', name: id})
      await this.#keepOneAdmin(tx, user)
      const live = await tx.claims.list({ownerId: user.id, phases: livePhases, limit: 1000})
      if (live.length > 0) {
        const fix = `Cancel ${live
          .slice(0, 3)
          .map(({name}) => name)
          .join(', ')}${live.length > 3 ? ' …' : ''} first.`
        throw problem('input_invalid', {field: user.username, problem: `still holds ${live.length} live claims.`, fix})
      }
      for (const token of await tx.tokens.listOf(user.id)) await tx.tokens.delete(token.id)
      await tx.users.delete(user.id)
      await record.event(
        'user',
        {id: user.id, name: user.username},
        'Deleted',
        `User ${user.username} was deleted.`,
        caller.username,
      )
      await record.audit(caller, 'users.delete', user.id, {username: user.username})
    })
    return {done: true}
  }

  /** Kept beside the join tokens: both are uses of a secret that are counted down, and end. */
  async #invite(
    {uses = 1, ttlSeconds = invitationSeconds}: InputOf<'users.invite'>,
    caller: Caller,
  ): Promise<OutputOf<'users.invite'>> {
    const {journal, clock, secrets} = this.#deps
    const secret = newSecret('gpi', secrets)
    const id = secrets.uuid()
    const nowMs = clock.now()
    const at = new Date(nowMs).toISOString()
    const name = `invitation-${id.slice(0, 8)}`
    const token = await journal.change(async (tx, record) => {
      const made = await tx.joinTokens.insert({
        ...{id, createdAt: at, updatedAt: at, name, admits: 'users', usesLeft: uses},
        expiresAt: new Date(nowMs + ttlSeconds * 1000).toISOString(),
        ...{autoApprove: false, labels: {}, secretHash: secrets.sha256(secret)},
      })
      const words = `${caller.username} made the invitation ${name} for ${uses} accounts.`
      await record.event('token', made, 'Created', words, caller.username)
      await record.audit(caller, 'users.invite', id, {name, uses})
      return made
    })
    return {...publicJoinToken(token), secret}
  }

  async #numbers(ids: Iterable<string>): Promise<ReadonlyMap<string, number>> {
    const users = await Promise.all([...new Set(ids)].map(id => this.#deps.store.users.find(id)))
    return new Map(users.flatMap(user => (user ? [[user.id, user.number]] : [])))
  }

  /** Throws last_admin when nobody else is an enabled super_admin. All of them are locked, in one order. */
  async #keepOneAdmin(tx: Tables, user: UserRecord): Promise<void> {
    if (user.role !== 'super_admin' || !user.enabled) return
    const admins = (await tx.users.list()).filter(one => one.role === 'super_admin' && one.id !== user.id)
    for (const {id} of admins.sort((a, b) => (a.id < b.id ? -1 : 1))) {
      const other = await tx.users.lock(id)
      if (other?.role === 'super_admin' && other.enabled) return
    }
    throw problem('last_admin', {name: user.username})
  }

  find(reference: string): Promise<UserRecord> {
    return resolve(
      reference,
      findersAmong(
        'user',
        () => this.#deps.store.users.list(),
        user => user.username,
      ),
    )
  }
}

/** In the transaction of whoever makes the account. Throws name_taken. */
export async function insertUser(
  {secrets, clock}: Pick<ServiceDependencies, 'secrets' | 'clock'>,
  tx: Tables,
  record: Recorder,
  {username, password, passwordHash, role = 'user', gpuQuota = null, maxPriority = 0}: NewUser,
  actor: string,
): Promise<UserRecord> {
  if (await tx.users.findByName(username)) throw problem('name_taken', {kind: 'user', name: username})
  const at = new Date(clock.now()).toISOString()
  const made = await tx.users.insert({
    id: secrets.uuid(),
    createdAt: at,
    updatedAt: at,
    username,
    role,
    enabled: true,
    gpuQuota: quotaOf(role, gpuQuota),
    maxPriority,
    passwordHash,
    tokenVersion: 1,
  })
  await noteWeakness(tx.settings, made.id, username, password)
  await record.event('user', {id: made.id, name: username}, 'Created', `User ${username} (${role}) was created.`, actor)
  return made
}

/** Only a super_admin is unlimited; everybody else begins with nothing (rule 6). */
function quotaOf(role: User['role'], asked: number | null): number | null {
  return role === 'super_admin' ? asked : (asked ?? 0)
}
