import type {InputOf} from '../../contract/contract.ts'
import type {Quota, QuotaStatus} from '../../contract/schemas/quotas.ts'
import {type Caller, seesAll} from '../caller.ts'
import {gpuCount, livePhases} from '../claim.ts'
import {problem} from '../errors.ts'
import type {UserRecord} from '../ports.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'
import type {UserService} from './users.ts'

/** What users may hold, and what they hold. The limits themselves are the user's. */
export class QuotaService {
  readonly #deps: ServiceDependencies
  readonly #users: Pick<UserService, 'find' | 'update'>

  constructor(deps: ServiceDependencies, users: Pick<UserService, 'find' | 'update'>) {
    this.#deps = deps
    this.#users = users
  }

  methods(): Services['quotas'] {
    return {
      list: (_, caller) => this.#list(caller),
      get: async ({user}, caller) => this.#quotaOf(await this.#seen(user, caller)),
      set: (input, caller) => this.#set(input, caller),
      status: async ({user}, caller) => this.#status(await this.#seen(user, caller)),
    }
  }

  async #list(caller: Caller): Promise<Quota[]> {
    const users = seesAll(caller) ? await this.#deps.store.users.list() : [await this.#seen(undefined, caller)]
    return Promise.all(users.map(user => this.#quotaOf(user)))
  }

  async #set({user: reference, gpus, maxPriority}: InputOf<'quotas.set'>, caller: Caller): Promise<Quota> {
    if (gpus === undefined && maxPriority === undefined) {
      const fix = 'Give gpus, maxPriority or both.'
      throw problem('input_invalid', {field: 'gpus', problem: 'is missing, and maxPriority too', fix})
    }
    const {id, role} = await this.#users.find(reference)
    if (gpus === null && role !== 'super_admin') {
      const fix = 'Give a number; only a super_admin is unlimited.'
      throw problem('input_invalid', {field: 'gpus', problem: `cannot be unlimited for a ${role}`, fix})
    }
    const change = {
      ...(gpus === undefined ? {} : {gpuQuota: gpus}),
      ...(maxPriority === undefined ? {} : {maxPriority}),
    }
    await this.#users.update({id, ...change}, caller)
    return this.#quotaOf(await this.#users.find(id))
  }

  async #status(user: UserRecord): Promise<QuotaStatus> {
    const live = await this.#deps.store.claims.list({ownerId: user.id, phases: livePhases, limit: 1000})
    const quota = await this.#quotaOf(user)
    return {
      ...quota,
      isOver: quota.gpus !== null && quota.gpusHeld > quota.gpus,
      claims: live.map(({id, name, status, spec}) => ({
        ...{id, name, phase: status.phase, gpus: gpuCount(spec)},
        priority: spec.priority ?? 0,
      })),
    }
  }

  async #quotaOf({id, username, gpuQuota, maxPriority}: UserRecord): Promise<Quota> {
    const gpusHeld = await this.#deps.store.claims.gpusHeldBy(id)
    const gpusLeft = gpuQuota === null ? null : Math.max(0, gpuQuota - gpusHeld)
    return {user: username, userId: id, gpus: gpuQuota, maxPriority, gpusHeld, gpusLeft}
  }

  /** His own, or anybody's for an administrator; to all others the user looks absent (T18). */
  async #seen(reference: string | undefined, caller: Caller): Promise<UserRecord> {
    const own = await this.#deps.store.users.find(caller.id)
    if (!own) throw problem('token_invalid', {})
    const isOwn = reference === undefined || [own.id, own.username, String(own.number)].includes(reference)
    if (isOwn) return own
    if (!seesAll(caller)) throw problem('not_found', {kind: 'user', name: reference})
    return this.#users.find(reference)
  }
}
