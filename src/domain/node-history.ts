import type {Clock} from './ports.ts'

/** Load of a node at one moment; null is unknown. */
export interface NodeSample {
  atMs: number
  cpuPercent: number | null
  diskPercent: number | null
  activeBackups: number
}

/** Older samples go; of those within one step only the last one stays, so that a node has 20 at most. */
const keptMs = 10 * 60_000
const stepMs = 30_000

/** What the nodes told of their load in the last ten minutes, in memory. */
export class NodeHistory {
  readonly #clock: Clock
  readonly #samples = new Map<string, NodeSample[]>()

  constructor({clock}: {clock: Clock}) {
    this.#clock = clock
  }

  add(nodeId: string, sample: Omit<NodeSample, 'atMs'>): void {
    const atMs = this.#clock.now()
    const kept = this.#recent(nodeId)
    const latest = kept[0]
    const isSameStep = latest && Math.floor(latest.atMs / stepMs) === Math.floor(atMs / stepMs)
    this.#samples.set(nodeId, [{...sample, atMs}, ...(isSameStep ? kept.slice(1) : kept)])
  }

  /** Newest first. */
  of(nodeId: string): readonly NodeSample[] {
    return this.#recent(nodeId)
  }

  forget(nodeId: string): void {
    this.#samples.delete(nodeId)
  }

  #recent(nodeId: string): NodeSample[] {
    const from = this.#clock.now() - keptMs
    return (this.#samples.get(nodeId) ?? []).filter(({atMs}) => atMs >= from)
  }
}
