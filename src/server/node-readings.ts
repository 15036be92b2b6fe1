import type {Services} from '../domain/services/services.ts'
import {encodeEvent} from './stream.ts'

/** All readings of one moment, with the bytes that its readers share. */
export class Reading {
  readonly id: string
  readonly at: number
  readonly #nodes: Services['nodes']
  readonly #made = new Map<string, unknown>()

  constructor(options: {id: string; at: number; nodes: Services['nodes']}) {
    this.id = options.id
    this.at = options.at
    this.#nodes = options.nodes
  }

  /** What the readers share under this key; made when the first one needs it. */
  once<T>(key: string, make: () => T): T {
    if (!this.#made.has(key)) this.#made.set(key, make())
    return this.#made.get(key) as T
  }

  /** The event for those who watch all nodes. */
  fleet(): Buffer {
    const at = new Date(this.at).toISOString()
    return this.once('fleet', () => encodeEvent({id: this.id, data: {at, nodes: this.#nodes.readings()}}))
  }

  /** The event for those who watch one node; undefined when the node is gone. */
  node(nodeId: string): Buffer | undefined {
    return this.once(`node ${nodeId}`, () => {
      const data = this.#nodes.reading(nodeId)
      return data && encodeEvent({id: this.id, data})
    })
  }
}

interface Watcher {
  everyTicks: number
  sinceTick: number
  read: (reading: Reading) => void
}

/** The pace of the statistics streams: one reading a tick for all watchers, and no tick while nobody watches. */
export class NodeReadings {
  readonly #nodes: Services['nodes']
  readonly #boot: string
  readonly #tickMs: number
  readonly #watchers = new Set<Watcher>()
  #tick = 0
  #taken = 0
  #timer: NodeJS.Timeout | undefined
  #latest: Reading | undefined

  constructor(options: {nodes: Services['nodes']; boot: string; tickMs: number}) {
    this.#nodes = options.nodes
    this.#boot = options.boot
    this.#tickMs = options.tickMs
  }

  /** The newest reading: that of this tick, or a fresh one when no ticks are made. */
  current(): Reading {
    if (!this.#latest || Date.now() - this.#latest.at > this.#tickMs) this.#latest = this.#take()
    return this.#latest
  }

  /** Calls back with every n-th tick from now on, until the returned function is called. */
  watch(everyTicks: number, read: (reading: Reading) => void): () => void {
    const watcher = {everyTicks, sinceTick: this.#tick, read}
    this.#watchers.add(watcher)
    this.#timer ??= setInterval(() => this.#turn(), this.#tickMs)
    return () => {
      this.#watchers.delete(watcher)
      if (this.#watchers.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  #turn(): void {
    this.#tick++
    this.#latest = this.#take()
    for (const {everyTicks, sinceTick, read} of this.#watchers) {
      if ((this.#tick - sinceTick) % everyTicks === 0) read(this.#latest)
    }
  }

  #take(): Reading {
    this.#taken++
    return new Reading({id: `${this.#boot}-${this.#taken}`, at: Date.now(), nodes: this.#nodes})
  }
}
