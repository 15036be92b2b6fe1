import type {InputOf, OutputOf} from '../../contract/contract.ts'
import type {ApiToken, JoinToken} from '../../contract/schemas/auth.ts'
import {type Caller, hasScope} from '../caller.ts'
import {problem} from '../errors.ts'
import type {JoinTokenRecord, TokenRecord} from '../ports.ts'
import type {Secrets} from '../security-ports.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {findersAmong, resolve} from './references.ts'
import type {Services} from './services.ts'

const mostTokens = 100
const joinTokenSeconds = 24 * 60 * 60

/** A secret with a prefix that says what it opens, and that scanners can find. */
export function newSecret(prefix: 'gpt' | 'gpj' | 'gpn' | 'gpi', {random}: Pick<Secrets, 'random'>): string {
  return `${prefix}_${Buffer.from(random(32)).toString('base64url')}`
}

/** Form of the keys of the OpenAI-compatible API: `sk_` and 32 letters or digits (wire.md 1.3). */
function newApiKey({random}: Pick<Secrets, 'random'>): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  let key = ''
  while (key.length < 32) {
    // What is left over of a byte would make the first letters likelier.
    for (const byte of random(32)) if (byte < 248 && key.length < 32) key += letters[byte % 62]
  }
  return `sk_${key}`
}

export class TokenService {
  readonly #deps: ServiceDependencies

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
  }

  methods(): Services['tokens'] {
    const {store} = this.#deps
    return {
      list: async (_, caller) => (await store.tokens.listOf(caller.id)).map(publicToken),
      create: (input, caller) => this.#create(input, caller),
      revoke: ({id}, caller) => this.#revoke(id, caller),
    }
  }

  async #create(
    {
      name,
      scopes = ['read', 'write'],
      ttlSeconds,
      requestsPerMinute = null,
      concurrency = null,
    }: InputOf<'tokens.create'>,
    caller: Caller,
  ): Promise<OutputOf<'tokens.create'>> {
    const {journal, clock, secrets} = this.#deps
    // A token that may only read must not make one that may write.
    const refused = scopes.find(scope => !hasScope(caller, scope))
    if (refused) throw problem('scope_missing', {needed: refused})
    const secret = scopes.every(scope => scope === 'inference') ? newApiKey(secrets) : newSecret('gpt', secrets)
    const nowMs = clock.now()
    const at = new Date(nowMs).toISOString()
    const expiresAt = ttlSeconds === undefined ? null : new Date(nowMs + ttlSeconds * 1000).toISOString()
    const token = await journal.change(async (tx, record) => {
      const own = await tx.tokens.listOf(caller.id)
      if (own.some(one => one.name === name)) throw problem('name_taken', {kind: 'token', name})
      if (own.length >= mostTokens) throw problem('too_many', {what: 'tokens: revoke one first', seconds: 0})
      const made = await tx.tokens.insert({
        id: secrets.uuid(),
        createdAt: at,
        updatedAt: at,
        name,
        owner: caller.username,
        ownerId: caller.id,
        scopes,
        requestsPerMinute,
        concurrency,
        expiresAt,
        lastUsedAt: null,
        hint: secret.slice(0, 8),
        secretHash: secrets.sha256(secret),
      })
      await record.event(
        'token',
        {id: made.id, name},
        'Created',
        `${caller.username} made the API token ${name}.`,
        caller.username,
      )
      await record.audit(caller, 'tokens.create', made.id, {name, scopes, expiresAt})
      return made
    })
    return {...publicToken(token), secret}
  }

  async #revoke(reference: string, caller: Caller): Promise<{done: true}> {
    const {store, journal} = this.#deps
    const finders = findersAmong(
      'token',
      () => store.tokens.listOf(caller.id),
      one => one.name,
    )
    const token = await resolve(reference, finders)
    await journal.change(async (tx, record) => {
      await tx.tokens.delete(token.id)
      await record.event(
        'token',
        token,
        'Revoked',
        `${caller.username} revoked the API token ${token.name}.`,
        caller.username,
      )
      await record.audit(caller, 'tokens.revoke', token.id, {name: token.name})
    })
    return {done: true}
  }
}

export class JoinTokenService {
  readonly #deps: ServiceDependencies

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
  }

  methods(): Services['joinTokens'] {
    const {store} = this.#deps
    return {
      list: async () => (await store.joinTokens.list()).map(publicJoinToken),
      create: (input, caller) => this.create(input, caller),
      revoke: ({id}, caller) => this.#revoke(id, caller),
    }
  }

  async create(
    input: InputOf<'joinTokens.create'>,
    caller: Pick<Caller, 'username' | 'requestId'> & {address?: string},
  ): Promise<OutputOf<'joinTokens.create'>> {
    const {journal, clock, secrets} = this.#deps
    const {name = `join-${secrets.uuid().slice(0, 8)}`, uses = 1, ttlSeconds = joinTokenSeconds} = input
    const secret = newSecret('gpj', secrets)
    const nowMs = clock.now()
    const at = new Date(nowMs).toISOString()
    const token = await journal.change(async (tx, record) => {
      if ((await tx.joinTokens.list()).some(one => one.name === name))
        throw problem('name_taken', {kind: 'join token', name})
      const made = await tx.joinTokens.insert({
        id: secrets.uuid(),
        createdAt: at,
        updatedAt: at,
        name,
        admits: 'nodes',
        usesLeft: uses,
        expiresAt: new Date(nowMs + ttlSeconds * 1000).toISOString(),
        autoApprove: input.autoApprove ?? false,
        labels: input.labels ?? {},
        secretHash: secrets.sha256(secret),
      })
      const words = `${caller.username} made the join token ${name} for ${uses} machines.`
      await record.event('token', made, 'Created', words, caller.username)
      await record.audit(caller, 'joinTokens.create', made.id, {name, uses, autoApprove: made.autoApprove})
      return made
    })
    return {...publicJoinToken(token), secret}
  }

  async #revoke(reference: string, caller: Caller): Promise<{done: true}> {
    const {store, journal} = this.#deps
    const token = await resolve(
      reference,
      findersAmong(
        'join token',
        () => store.joinTokens.list(),
        one => one.name,
      ),
    )
    await journal.change(async (tx, record) => {
      await tx.joinTokens.delete(token.id)
      await record.audit(caller, 'joinTokens.revoke', token.id, {name: token.name})
    })
    return {done: true}
  }
}

function publicToken({secretHash: _, ownerId: __, ...token}: TokenRecord): ApiToken {
  // A token of an earlier version has no bounds of its own.
  return {...token, requestsPerMinute: token.requestsPerMinute ?? null, concurrency: token.concurrency ?? null}
}

export function publicJoinToken({secretHash: _, ...token}: JoinTokenRecord): JoinToken {
  return token
}
