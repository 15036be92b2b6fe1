import {mkdir} from 'node:fs/promises'
import {join} from 'node:path'
import type {StorageRunner} from './run.ts'

/**
 * One change at a time of each thing. The programs that change it hold a lock of the kernel's (flock) while they run, so
 * that the next agent waits for what one that was killed has left running: it would look, see nothing, and be wrong.
 */
export class StorageLocks {
  readonly #folder: string
  readonly #runner: StorageRunner
  /** The last in line for each thing; gone when nobody is. */
  readonly #lines = new Map<string, Promise<unknown>>()
  /** Of these nothing is left over from the agent before this one. */
  readonly #known = new Set<string>()

  constructor({folder, runner}: {folder: string; runner: StorageRunner}) {
    this.#folder = folder
    this.#runner = runner
  }

  /** `key` is a file name. `work` gets the file to lock while its programs run; `longestMs` of what runs there, if long. */
  async hold<T>(key: string, work: (lock: string) => Promise<T>, longestMs?: number): Promise<T> {
    const before = this.#lines.get(key) ?? Promise.resolve()
    const mine = before.catch(() => {}).then(async () => work(await this.#takenOver(key, longestMs)))
    this.#lines.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#lines.get(key) === mine) this.#lines.delete(key)
    }
  }

  async #takenOver(key: string, longestMs: number | undefined): Promise<string> {
    const lock = join(this.#folder, key)
    if (this.#known.has(key)) return lock
    await mkdir(this.#folder, {recursive: true, mode: 0o700})
    await this.#runner.run({file: 'true', args: [], ...(longestMs ? {longestMs} : {})}, {lock})
    this.#known.add(key)
    return lock
  }
}
