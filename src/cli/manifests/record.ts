import {join} from 'node:path'
import {usageError} from '../failure.ts'
import {configDirectory} from '../places.ts'
import {readIfThere, writePrivately} from '../private-file.ts'

/** Names (`spec/small`) of what apply has made, for each server by its id. */
interface Content {
  [serverId: string]: string[]
}

/**
 * What `apply` has made and not taken away again: all that `--prune` may remove. A file of this person's configuration,
 * or one that a team keeps beside its manifests.
 */
export class ApplyRecord {
  readonly #path: string
  readonly #serverId: string
  readonly #content: Content

  private constructor(path: string, serverId: string, content: Content) {
    this.#path = path
    this.#serverId = serverId
    this.#content = content
  }

  static async open(serverId: string, given?: string): Promise<ApplyRecord> {
    const path = given ?? join(configDirectory(), 'applied.json')
    const text = await readIfThere(path)
    if (text === undefined) return new ApplyRecord(path, serverId, {})
    try {
      return new ApplyRecord(path, serverId, JSON.parse(text) as Content)
    } catch {
      throw usageError(`${path} is damaged.`, 'Remove it; what was applied so far is then left alone by --prune.')
    }
  }

  get names(): readonly string[] {
    return this.#content[this.#serverId] ?? []
  }

  async change({made, removed}: {made: readonly string[]; removed: readonly string[]}): Promise<void> {
    if (made.length === 0 && removed.length === 0) return
    const left = this.names.filter(name => !removed.includes(name))
    this.#content[this.#serverId] = [...new Set([...left, ...made])].sort()
    await writePrivately(this.#path, `${JSON.stringify(this.#content, undefined, 2)}\n`)
  }
}
