import type {RuntimeDriver} from '../runtime/driver.ts'

interface Pull {
  /** Null while unknown. */
  percent: number | null
  /** Absent while it runs. */
  ended?: {error?: unknown}
  promise: Promise<void>
}

/**
 * The pulls under way, one an instance. They run beside the work, so that an instance that is not wanted any more need
 * not wait for the end of its pull, and an agent that stops need not either.
 */
export class ImagePulls {
  readonly #pulls = new Map<string, Pull>()
  readonly #driver: RuntimeDriver
  readonly #onProgress: (id: string) => void
  readonly #onEnd: (id: string) => void

  /** `onProgress` is called at the start and every five percent. */
  constructor(deps: {driver: RuntimeDriver; onProgress: (id: string) => void; onEnd: (id: string) => void}) {
    this.#driver = deps.driver
    this.#onProgress = deps.onProgress
    this.#onEnd = deps.onEnd
  }

  /** True once the image is there, false while the pull runs; begins one where there is none. Throws a failure once. */
  isDone(id: string, image: string): boolean {
    const pull = this.#pulls.get(id)
    if (!pull) {
      this.#begin(id, image)
      return false
    }
    if (!pull.ended) return false
    this.#pulls.delete(id)
    if (pull.ended.error !== undefined) throw pull.ended.error
    return true
  }

  progress(id: string): {percent: number | null} | undefined {
    const pull = this.#pulls.get(id)
    return pull?.ended ? undefined : pull
  }

  /** Forgets all but these. */
  keep(isWanted: (id: string) => boolean): void {
    for (const id of this.#pulls.keys()) if (!isWanted(id)) this.#pulls.delete(id)
  }

  /** Resolves when none runs. */
  async idle(): Promise<void> {
    await Promise.all([...this.#pulls.values()].map(pull => pull.promise))
  }

  #begin(id: string, image: string): void {
    let toldPercent = 0
    // There before the pull begins: a driver may tell progress before it returns.
    const pull: Pull = {percent: null, promise: Promise.resolve()}
    this.#pulls.set(id, pull)
    const pulling = this.#driver.pull(image, percent => {
      pull.percent = percent ?? null
      if (percent === undefined || percent - toldPercent < 5) return
      toldPercent = percent
      if (this.#pulls.get(id) === pull) this.#onProgress(id)
    })
    const end = (error?: unknown) => {
      pull.ended = {error}
      if (this.#pulls.get(id) === pull) this.#onEnd(id)
    }
    pull.promise = pulling.then(() => end(), end)
    this.#onProgress(id)
  }
}
