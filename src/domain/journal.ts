import type {Event} from '../contract/schemas/server.ts'
import {isProblem} from './errors.ts'
import type {AuditEntry, Clock, Store, Tables} from './ports.ts'
import {Rehearsed} from './rehearsal.ts'

/** Writes down what happens, in the transaction in which it happens. */
export interface Recorder {
  event(
    kind: Event['kind'],
    object: {id: string; name: string},
    type: string,
    message: string,
    actor?: string,
  ): Promise<void>
  /** One row for each changing call (security T31). Never a secret in the details. */
  audit(
    who: {id?: string; username?: string; address?: string; requestId: string; rehearses?: boolean; applySet?: string},
    action: string,
    object: string,
    details?: Record<string, unknown>,
  ): Promise<void>
}

/** Actions that make what a manifest describes, and those that take it away for good. */
const makesManifest: ReadonlySet<string> = new Set(['specs.create', 'images.create', 'claims.submit'])
const endsManifest: ReadonlySet<string> = new Set(['specs.delete', 'images.delete'])

/** Tries after a lost race of two writers, whose later one reads again. */
const tries = 8

/** The one way to change the store: events and audit rows come with the change, and subscribers hear of it after COMMIT. */
export class Journal {
  readonly #store: Store
  readonly #clock: Clock
  readonly #listeners = new Set<(event: Event) => void>()
  #revision = 0

  constructor({store, clock}: {store: Store; clock: Clock}) {
    this.#store = store
    this.#clock = clock
  }

  /**
   * Runs the work in a transaction. It may run several times, so it has no effect outside the store. Throws Rehearsed where
   * the caller in its audit row only rehearses.
   */
  async change<T>(work: (tx: Tables, record: Recorder) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      let events: Event[] = []
      try {
        const result = await this.#store.transaction(async tx => {
          events = []
          const audit: (AuditEntry & {rehearses?: boolean})[] = []
          const done = await work(tx, this.#recorder(tx, events, audit))
          if (audit.some(({rehearses}) => rehearses)) throw rehearsed(events, audit)
          // At the end: whoever appends keeps the others from it until COMMIT.
          if (audit.length > 0) await tx.audit.append(audit)
          return done
        })
        for (const event of events) this.#publish(event)
        return result
      } catch (error) {
        if (!isProblem(error, 'changed_meanwhile') || attempt >= tries) throw error
      } finally {
        this.#revision += 1
      }
    }
  }

  /** Another one after each change, and after each that may have been one: what was read at the same one still holds. */
  get revision(): number {
    return this.#revision
  }

  subscribe(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #recorder(tx: Tables, events: Event[], audit: (AuditEntry & {rehearses?: boolean})[]): Recorder {
    const at = new Date(this.#clock.now()).toISOString()
    return {
      event: async (kind, {id, name}, type, message, actor = 'system') => {
        events.push(await tx.events.append({at, kind, objectId: id, objectName: name, type, message, actor}))
      },
      audit: async (who, action, object, details = {}) => {
        const {id: ownerId, username = 'anonymous', address, requestId, rehearses, applySet} = who
        if (applySet !== undefined && ownerId !== undefined && makesManifest.has(action))
          await tx.applyMarks.insert({objectId: object, ownerId, set: applySet})
        if (endsManifest.has(action)) await tx.applyMarks.delete(object)
        const known = {...details, ...(address ? {address} : {})}
        audit.push({at, actor: username, action, object, requestId, details: known, ...(rehearses ? {rehearses} : {})})
      },
    }
  }

  #publish(event: Event): void {
    for (const listener of this.#listeners) listener(event)
  }
}

function rehearsed(events: readonly Event[], audit: readonly AuditEntry[]): Rehearsed {
  return new Rehearsed({messages: events.map(({message}) => message), actions: audit.map(({action}) => action)})
}
