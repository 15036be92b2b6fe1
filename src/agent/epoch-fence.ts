import type {DesiredInstance} from '../contract/agent-protocol.ts'

/** Claims that are not wanted here any more, whose epochs are remembered all the same. */
const mostForgotten = 1_000

/**
 * The highest epoch seen of each claim. What would start a lower one is refused, because the claim has been bound anew
 * since (reliability, fencing); ending an old one is always right.
 */
export class EpochFence {
  /** Least recently seen first. */
  #epochs = new Map<string, number>()

  load(epochs: Record<string, number>): void {
    this.#epochs = new Map(Object.entries(epochs))
  }

  save(): Record<string, number> {
    return Object.fromEntries(this.#epochs)
  }

  admit(instances: readonly DesiredInstance[]): DesiredInstance[] {
    for (const {claimId, epoch} of instances) {
      const highest = Math.max(epoch, this.#epochs.get(claimId) ?? 0)
      this.#epochs.delete(claimId)
      this.#epochs.set(claimId, highest)
    }
    let surplus = this.#epochs.size - new Set(instances.map(one => one.claimId)).size - mostForgotten
    for (const claimId of this.#epochs.keys()) if (surplus-- > 0) this.#epochs.delete(claimId)
    return instances.filter(one => one.state !== 'running' || one.epoch >= (this.#epochs.get(one.claimId) ?? 0))
  }
}
