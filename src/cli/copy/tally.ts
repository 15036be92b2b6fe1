import {createHash} from 'node:crypto'
import {bytes, span} from '../output/figures.ts'
import {Progress} from '../progress.ts'
import {isTerminal} from '../terminal.ts'

const showEveryMs = 200

/** What has gone over so far: counted, shown with rate and rest, and summed up by the SHA-256 of every file. */
export class Tally {
  files = 0
  bytes = 0
  readonly #digests = new Map<string, string>()
  readonly #progress: Progress
  readonly #totalBytes: number | undefined
  readonly #startedAt = performance.now()
  #shownAt = 0

  /** `totalBytes`: where it is known. */
  constructor({quiet, totalBytes}: {quiet: boolean; totalBytes?: number}) {
    this.#progress = new Progress({quiet: quiet || !isTerminal(process.stderr)})
    this.#totalBytes = totalBytes
  }

  /** SHA-256 of each file, by its path below the target. */
  get digests(): ReadonlyMap<string, string> {
    return this.#digests
  }

  /** Passes a file's content on and counts it. */
  async *count(path: string, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const hash = createHash('sha256')
    for await (const piece of content) {
      hash.update(piece)
      this.bytes += piece.length
      this.#show(path)
      yield piece
    }
    this.files++
    this.#digests.set(path, hash.digest('hex'))
  }

  end(): void {
    this.#progress.end()
  }

  /** As `3 files, 64 MiB in 2 s`. */
  get summary(): string {
    const files = this.files === 1 ? '1 file' : `${this.files} files`
    return `${files}, ${bytes(this.bytes)} in ${span(performance.now() - this.#startedAt)}`
  }

  #show(path: string): void {
    const now = performance.now()
    if (now - this.#shownAt < showEveryMs) return
    this.#shownAt = now
    const perSecond = this.bytes / ((now - this.#startedAt) / 1000)
    const rate = `${bytes(perSecond)}/s`
    const left = this.#totalBytes === undefined ? undefined : Math.max(0, this.#totalBytes - this.bytes)
    const rest = left === undefined ? '' : `, ${span((left / perSecond) * 1000)} left`
    const of = this.#totalBytes === undefined ? '' : ` of ${bytes(this.#totalBytes)}`
    this.#progress.step(`${path}: ${bytes(this.bytes)}${of}, ${rate}${rest}`)
  }
}
