import type {Instance, InstanceStats} from '../../contract/schemas/instances.ts'
import type {Clock} from '../ports.ts'

const freshMs = 30_000
const withinMs = 10_000
const atOnce = 30
const mostRemembered = 5_000

/** Opens the readings of an instance that its caller may see. */
type Open = (instanceId: string, signal: AbortSignal) => Promise<AsyncIterable<InstanceStats>>

/**
 * The latest reading of instances that are looked at, at most 30 s old when it was asked for: a list of a hundred
 * instances cannot wait for a hundred containers. Thirty are read at once, each for at most 10 s (wire.md 3.5).
 */
export class InstanceReadings {
  readonly #clock: Clock
  readonly #known = new Map<string, {atMs: number; stats: InstanceStats | undefined}>()
  readonly #waiting = new Map<string, Open>()
  #running = 0

  constructor({clock}: {clock: Clock}) {
    this.#clock = clock
  }

  /** What is known now; an older reading is made anew meanwhile, for the next look. */
  latest({id, status}: Instance, open: Open): InstanceStats | undefined {
    if (status !== 'running') return undefined
    const known = this.#known.get(id)
    if (known && this.#clock.now() - known.atMs < freshMs) return known.stats
    if (this.#waiting.size < mostRemembered) this.#waiting.set(id, open)
    this.#next()
    return known?.stats
  }

  #next(): void {
    for (const [id, open] of this.#waiting) {
      if (this.#running >= atOnce) return
      this.#waiting.delete(id)
      this.#running++
      void this.#read(id, open).finally(() => {
        this.#running--
        this.#next()
      })
    }
  }

  async #read(id: string, open: Open): Promise<void> {
    // Noted before it is read: whoever looks meanwhile starts no second reading.
    this.#remember(id, this.#known.get(id)?.stats)
    const over = new AbortController()
    const timer = setTimeout(() => over.abort(), withinMs)
    try {
      for await (const stats of await open(id, over.signal)) {
        if (stats.cpuPercent === null) continue
        this.#remember(id, stats)
        return
      }
    } catch {
      // A node that is not heard gives no reading; the next look tries again.
      this.#remember(id, undefined)
    } finally {
      clearTimeout(timer)
      over.abort()
    }
  }

  #remember(id: string, stats: InstanceStats | undefined): void {
    this.#known.delete(id)
    this.#known.set(id, {atMs: this.#clock.now(), stats})
    if (this.#known.size > mostRemembered) this.#known.delete(this.#known.keys().next().value!)
  }
}
