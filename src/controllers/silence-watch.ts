import type {FleetMemory} from '../domain/fleet-memory.ts'

/** Smaller fleets are not judged as a whole: half of two machines is one machine. */
const leastNodes = 3

/**
 * Decides which silent nodes are given up. When a large part of the fleet falls silent at once, the fault is more likely
 * on the server's side: then nobody is given up until most of them are heard again (reliability F7).
 */
export class SilenceWatch {
  readonly #memory: FleetMemory
  readonly #lostAfterMs: number
  readonly #massSilence: number
  #frozen: Set<string> | undefined
  #lost = new Set<string>()

  constructor({memory, lostAfterMs, massSilence}: {memory: FleetMemory; lostAfterMs: number; massSilence: number}) {
    this.#memory = memory
    this.#lostAfterMs = lostAfterMs
    this.#massSilence = massSilence
  }

  get isFrozen(): boolean {
    return this.#frozen !== undefined
  }

  /** A node that is heard again is not lost, even before the next look. */
  isLost(nodeId: string): boolean {
    return this.#lost.has(nodeId) && (this.#memory.ageMs(nodeId) ?? 0) > this.#lostAfterMs
  }

  /** Looks at all active nodes; answers those that are newly lost, and whether the freeze began or ended. */
  look(nodeIds: readonly string[]): {newlyLost: string[]; frozenChanged: boolean} {
    const wasFrozen = this.isFrozen
    // Who has been silent for much longer than the grace tells nothing about this moment.
    const recent = nodeIds.filter(id => (this.#memory.ageMs(id) ?? Number.POSITIVE_INFINITY) <= 2 * this.#lostAfterMs)
    const judged = this.#frozen ? nodeIds.filter(id => this.#frozen!.has(id)) : recent
    const silent = judged.filter(id => this.#memory.liveness(id) !== 'online')
    const isMass = judged.length >= leastNodes && silent.length / judged.length >= this.#massSilence
    if (!isMass) this.#frozen = undefined
    else this.#frozen ??= new Set(judged)
    const lost = new Set<string>()
    for (const id of nodeIds) {
      const ageMs = this.#memory.ageMs(id)
      if (ageMs === undefined || ageMs <= this.#lostAfterMs) continue
      if (!this.#frozen || this.#lost.has(id)) lost.add(id)
    }
    const newlyLost = [...lost].filter(id => !this.#lost.has(id))
    this.#lost = lost
    return {newlyLost, frozenChanged: wasFrozen !== this.isFrozen}
  }
}
