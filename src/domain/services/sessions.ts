import type {Session} from '../../contract/schemas/sessions.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {OpenSession, SessionEnd, SessionStart} from '../session.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {findersAmong, ownerSeen, resolve} from './references.ts'
import type {Services} from './services.ts'

/** How the beginning stands in the audit. */
const begun = {ssh: 'sessions.start', exec: 'instances.exec', terminal: 'instances.exec'} as const

interface Entry extends SessionStart {
  id: string
  number: number
  name: string
  startedAtMs: number
  tokenVersion: number
  why: SessionEnd
}

/** Open sessions of all doors at a time; more are refused. */
const mostSessions = 10_000
const mostOfUser = 500

/**
 * Who is in which instance now: SSH connections, execs, terminals. In memory, since they end with the server; start and
 * end stand in the audit. What its user may no longer have ends within a second (security T26).
 */
export class SessionService {
  readonly #deps: ServiceDependencies
  readonly #open = new Map<string, Entry>()
  readonly #notes = new Set<Promise<unknown>>()
  #counted = 0

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
    deps.journal.subscribe(({kind, objectId}) => {
      if (kind === 'user') void this.#lookAgain(objectId).catch(() => {})
    })
  }

  methods(): Services['sessions'] {
    return {
      list: async ({all}, caller) => this.#seenBy(caller, all === true).map(shown),
      kill: ({id}, caller) => this.#kill(id, caller),
      open: start => this.#begin(start),
      settled: async () => void (await Promise.all(this.#notes)),
    }
  }

  /** Throws too_many; token_invalid when the user is disabled or gone. */
  async #begin(start: SessionStart): Promise<OpenSession> {
    const {store, journal, secrets, clock} = this.#deps
    const {caller, kind} = start
    const ofUser = [...this.#open.values()].filter(one => one.caller.id === caller.id).length
    if (ofUser >= mostOfUser || this.#open.size >= mostSessions) {
      throw problem('too_many', {what: 'open sessions', seconds: 10})
    }
    const id = secrets.uuid()
    const fixed = {id, name: id, number: ++this.#counted, startedAtMs: clock.now(), why: 'closed' as const}
    const entry: Entry = {...start, ...fixed, tokenVersion: -1}
    this.#open.set(id, entry)
    try {
      const user = await store.users.find(caller.id)
      if (!user?.enabled) throw problem('token_invalid', {})
      entry.tokenVersion = user.tokenVersion
      await journal.change((_, record) => record.audit(caller, begun[kind], id, {kind, ...namesOf(entry)}))
    } catch (error) {
      this.#open.delete(id)
      throw error
    }
    return {
      id,
      enter(instance) {
        entry.instance = instance
      },
      close: () => this.#close(entry),
    }
  }

  #close(entry: Entry): void {
    if (!this.#open.delete(entry.id)) return
    const {journal, clock} = this.#deps
    const {id, caller, kind, why, startedAtMs} = entry
    const bytes = entry.bytes()
    const durationMs = clock.now() - startedAtMs
    const details = {kind, ...namesOf(entry), why, bytesIn: bytes.in, bytesOut: bytes.out, durationMs}
    const note = journal
      .change((_, record) => record.audit(caller, 'sessions.end', id, details))
      // A store that is full or away: the end of a session cannot wait for it.
      .catch(() => {})
      .finally(() => this.#notes.delete(note))
    this.#notes.add(note)
  }

  #end(entry: Entry, why: SessionEnd): void {
    entry.why = why
    entry.end(why)
  }

  async #kill(reference: string, caller: Caller): Promise<{done: true}> {
    const seen = async () => this.#seenBy(caller, true)
    const entry = await resolve(
      reference,
      findersAmong('session', seen, one => one.name),
    )
    await this.#deps.journal.change((_, record) =>
      record.audit(caller, 'sessions.kill', entry.id, {user: entry.caller.username, ...namesOf(entry)}),
    )
    this.#end(entry, 'killed')
    return {done: true}
  }

  #seenBy(caller: Caller, all: boolean): Entry[] {
    const ownerId = all ? ownerSeen(caller) : caller.id
    return [...this.#open.values()].filter(one => ownerId === undefined || one.caller.id === ownerId)
  }

  /**
   * An account that was disabled or deleted has no sessions. A new password, a new role, or a logout everywhere ends SSH
   * logins, and a deleted key those that it opened; other doors look at their tokens themselves.
   */
  async #lookAgain(userId: string): Promise<void> {
    const entries = [...this.#open.values()].filter(one => one.caller.id === userId)
    if (entries.length === 0) return
    const user = await this.#deps.store.users.find(userId)
    const keys = new Set((await this.#deps.store.sshKeys.listOf(userId)).map(({id}) => id))
    for (const entry of entries) {
      const {kind, caller, tokenVersion} = entry
      const isOld = tokenVersion >= 0 && user?.tokenVersion !== tokenVersion
      const isKeyGone = caller.keyId !== undefined && !keys.has(caller.keyId)
      if (!user?.enabled || (kind === 'ssh' && (isOld || isKeyGone))) this.#end(entry, 'revoked')
    }
  }
}

function namesOf({instance, program}: SessionStart): Record<string, string> {
  return {...(instance ? {instance: instance.name, instanceId: instance.id} : {}), ...(program ? {program} : {})}
}

function shown(entry: Entry): Session {
  const {id, number, kind, caller, instance, startedAtMs} = entry
  const bytes = entry.bytes()
  return {
    id,
    number,
    kind,
    user: caller.username,
    userId: caller.id,
    instance: instance?.name ?? '',
    instanceId: instance?.id ?? '',
    address: caller.address,
    startedAt: new Date(startedAtMs).toISOString(),
    bytesIn: bytes.in,
    bytesOut: bytes.out,
  }
}
