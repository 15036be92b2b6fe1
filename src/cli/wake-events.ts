import type {Client} from '../client/client.ts'
import type {Event} from '../contract/schemas/server.ts'

type Kind = Event['kind']

/** What changes these looks, and comes as an event. Readings (load, temperatures, progress) come without: they are asked for. */
const kindsOf: Readonly<Record<string, readonly Kind[]>> = {
  'claim:get': ['claim'],
  'claim:list': ['claim'],
  'image:get': ['image'],
  'image:list': ['image'],
  'instance:get': ['instance', 'claim'],
  'instance:list': ['instance', 'claim'],
  'node:get': ['node', 'claim'],
  'node:list': ['node', 'claim'],
  'node:pending': ['node'],
  'runtime:get': ['runtime'],
  'runtime:list': ['runtime'],
  'spec:get': ['spec'],
  'spec:list': ['spec'],
  status: ['node', 'claim', 'runtime', 'task'],
  'token:list': ['token'],
  'user:get': ['user'],
  'user:list': ['user'],
}

/** Wakes a watch where the server tells that something happened to what it shows. */
export class WakeEvents {
  readonly #kinds: readonly Kind[]
  #client: Client | undefined
  #hasHappened = false
  #wake = () => {}

  constructor(kinds: readonly Kind[], client: Client) {
    this.#kinds = kinds
    this.#client = client
  }

  /** Undefined where no event tells of what the command shows. */
  static of(command: string, client: Client | undefined): WakeEvents | undefined {
    const kinds = kindsOf[command]
    return kinds && client && new WakeEvents(kinds, client)
  }

  /** Until the abort, or until there is no stream to follow any more: then the watch asks by itself. */
  async follow(signal: AbortSignal): Promise<void> {
    try {
      for await (const {event, data} of this.#client?.events('events.stream', {}, {signal}) ?? []) {
        if (event === 'message' && !this.#kinds.includes(data.kind)) continue
        this.#hasHappened = true
        this.#wake()
      }
    } catch {
      // A server without the stream, or a token that may not read it.
    } finally {
      this.#client = undefined
      this.#wake()
    }
  }

  get isLive(): boolean {
    return this.#client !== undefined
  }

  /** Resolves when something happened since the last time, at the latest after `mostMs`, or when the stream is over. */
  async next({mostMs, signal}: {mostMs: number; signal: AbortSignal}): Promise<void> {
    if (!this.#hasHappened) {
      await new Promise<void>(resolve => {
        const go = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', go)
          resolve()
        }
        const timer = setTimeout(go, mostMs)
        signal.addEventListener('abort', go, {once: true})
        this.#wake = go
      })
    }
    this.#hasHappened = false
    signal.throwIfAborted()
  }
}
