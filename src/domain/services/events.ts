import type {Event} from '../../contract/schemas/server.ts'
import {type Caller, hasRole, seesAll} from '../caller.ts'
import {tellsOfPrivate} from '../task.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'

/** Machines that wait, what users keep on a node, and its storage. */
const ofAdministrators = /^(Join|Site|Backup|Storage)/
/** Owners of claims, instances and tasks that are remembered, so that a stream does not ask the store for every event. */
const mostOwners = 10_000

export class EventService {
  readonly #deps: ServiceDependencies
  readonly #owners = new Map<string, string>()

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
  }

  methods(): Services['events'] {
    const {journal} = this.#deps
    return {
      list: (input, caller) => this.#list(input, caller),
      subscribe: listener => journal.subscribe(listener),
      visible: (event, caller) => this.#isVisible(event, caller),
    }
  }

  /** Reads on until the page is full: what the caller may not see takes no place in it. */
  async #list(
    {kind, object, after, limit = 100}: Parameters<Services['events']['list']>[0],
    caller: Caller,
  ): Promise<Event[]> {
    const {events} = this.#deps.store
    if (after === undefined) {
      const newest = await events.list({kind, object, limit: seesAll(caller) ? limit : 1000})
      return (await this.#visible(newest, caller)).slice(-limit)
    }
    const found: Event[] = []
    for (let from = after; found.length < limit; ) {
      const page = await events.list({kind, object, after: from, limit: 1000})
      found.push(...(await this.#visible(page, caller)))
      if (page.length < 1000) break
      from = page.at(-1)!.number
    }
    return found.slice(0, limit)
  }

  async #visible(events: readonly Event[], caller: Caller): Promise<Event[]> {
    const seen: Event[] = []
    for (const event of events) if (await this.#isVisible(event, caller)) seen.push(event)
    return seen
  }

  /** Administrators see all; others their own, and what happens to nodes and the catalogue (T18). */
  async #isVisible(event: Event, caller: Caller): Promise<boolean> {
    if (seesAll(caller)) return true
    if (event.kind === 'user') return event.objectId === caller.id
    // Elsewhere the actor may be a node or `system`, and a user of that name must not see what is theirs.
    if (event.kind === 'token') return event.actor === caller.username
    if (event.kind === 'node') return hasRole(caller, 'node_admin') || !ofAdministrators.test(event.type)
    if (event.kind === 'task' && hasRole(caller, 'node_admin') && !tellsOfPrivate(event)) return true
    if (event.kind !== 'claim' && event.kind !== 'instance' && event.kind !== 'task')
      return !event.type.startsWith('security.')
    return (await this.#ownerOf(event.kind, event.objectId)) === caller.id
  }

  async #ownerOf(kind: 'claim' | 'instance' | 'task', id: string): Promise<string | undefined> {
    const known = this.#owners.get(id)
    if (known !== undefined) return known
    const {claims, instances, tasks} = this.#deps.store
    const found = await {claim: claims, instance: instances, task: tasks}[kind].find(id)
    if (!found) return undefined
    if (this.#owners.size >= mostOwners) this.#owners.clear()
    this.#owners.set(id, found.ownerId)
    return found.ownerId
  }
}
