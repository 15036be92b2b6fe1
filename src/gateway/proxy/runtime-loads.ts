import type {Load} from './ranking.ts'

interface Known {
  inFlight: number
  firstByteMs: number
  /** ms since 1970; 0 = never. */
  measuredAtMs: number
  lastTurn: number
}

/** Weight of the newest measurement in the smoothed one. */
const newestWeight = 0.3
/** A measurement older than this says nothing: a runtime that was slow once gets another chance. */
const measurementLivesMs = 5 * 60_000
const mostRemembered = 2_000

/** What this server has under way at each runtime, and how quick they were. In memory, bounded. */
export class RuntimeLoads {
  readonly #known = new Map<string, Known>()
  #turns = 0
  #inFlight = 0

  get inFlight(): number {
    return this.#inFlight
  }

  of(id: string, nowMs: number): Load {
    const known = this.#known.get(id)
    if (!known) return {inFlight: 0, firstByteMs: undefined, lastTurn: 0}
    const isFresh = known.measuredAtMs > 0 && nowMs - known.measuredAtMs <= measurementLivesMs
    return {inFlight: known.inFlight, firstByteMs: isFresh ? known.firstByteMs : undefined, lastTurn: known.lastTurn}
  }

  /** One request more; the function that it returns counts it out, once. */
  begin(id: string): () => void {
    const known = this.#known.get(id) ?? {inFlight: 0, firstByteMs: 0, measuredAtMs: 0, lastTurn: 0}
    known.inFlight += 1
    known.lastTurn = ++this.#turns
    this.#known.set(id, known)
    this.#inFlight += 1
    if (this.#known.size > mostRemembered) this.#forget()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      known.inFlight -= 1
      this.#inFlight -= 1
    }
  }

  measured(id: string, firstByteMs: number, nowMs: number): void {
    const known = this.#known.get(id)
    if (!known) return
    const isFirst = known.measuredAtMs === 0 || nowMs - known.measuredAtMs > measurementLivesMs
    known.firstByteMs = isFirst ? firstByteMs : known.firstByteMs + newestWeight * (firstByteMs - known.firstByteMs)
    known.measuredAtMs = nowMs
  }

  /** Drops those that do nothing, the ones chosen longest ago first. */
  #forget(): void {
    const idle = [...this.#known].filter(([, {inFlight}]) => inFlight === 0)
    const oldest = idle.sort(([, one], [, other]) => one.lastTurn - other.lastTurn)
    for (const [id] of oldest.slice(0, mostRemembered / 2)) this.#known.delete(id)
  }
}
