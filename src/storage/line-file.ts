import {mkdir, readFile} from 'node:fs/promises'
import {dirname} from 'node:path'
import {writeFileAtomic} from '../platform/files.ts'

/** A table of the system, as /etc/fstab: changed as a whole, one change after the other, so that none is lost. */
export class LineFile {
  readonly #path: string
  #last: Promise<unknown> = Promise.resolve()

  constructor(path: string) {
    this.#path = path
  }

  /** None where there is no file. */
  async lines(): Promise<string[]> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    return text.split('\n').filter((line, index, all) => line !== '' || index < all.length - 1)
  }

  async change(change: (lines: string[]) => string[]): Promise<void> {
    const mine = this.#last.catch(() => {}).then(() => this.#changeNow(change))
    this.#last = mine
    await mine
  }

  async #changeNow(change: (lines: string[]) => string[]): Promise<void> {
    const before = await this.lines()
    const after = change(before)
    if (after.join('\n') === before.join('\n')) return
    await mkdir(dirname(this.#path), {recursive: true})
    await writeFileAtomic(this.#path, after.map(line => `${line}\n`).join(''), {mode: 0o644})
  }
}
