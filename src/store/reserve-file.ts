import {randomBytes} from 'node:crypto'
import {rmSync, statfsSync, statSync} from 'node:fs'
import {open, rename, rm} from 'node:fs/promises'
import {dirname} from 'node:path'

const reserveBytes = 16 * 1024 * 1024
const chunkBytes = 1024 * 1024
/** Between two looks at a full disk. */
const lookAgainMs = 1_000

/**
 * 16 MiB that lie beside the database for the day when the disk is full: given up, they are the room in which claims can
 * still be released (F11). Taken again by itself once there is twice as much free.
 */
export class ReserveFile {
  readonly #path: string
  #isGivenUp = false
  #lookedAtMs = 0
  #making: Promise<void> | undefined

  constructor({path}: {path: string}) {
    this.#path = path
  }

  /** The disk was full and has not been seen with room since. */
  get isGivenUp(): boolean {
    if (!this.#isGivenUp) return false
    const nowMs = performance.now()
    if (nowMs - this.#lookedAtMs >= lookAgainMs) {
      this.#lookedAtMs = nowMs
      if (freeBytes(this.#path) >= 2 * reserveBytes) void this.ensure()
    }
    return this.#isGivenUp
  }

  /** Answers whether there was something to give. */
  giveUp(): boolean {
    const hadReserve = sizeOf(this.#path) > 0
    this.#isGivenUp = true
    this.#lookedAtMs = performance.now()
    rmSync(this.#path, {force: true})
    return hadReserve
  }

  /** Makes the file if it is not whole. Never throws: without room the store is full, which is a state, not an error. */
  ensure(): Promise<void> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  /** Resolves when nothing is being made. */
  async settled(): Promise<void> {
    await this.#making
  }

  async #make(): Promise<void> {
    if (sizeOf(this.#path) < reserveBytes) {
      const temporary = `${this.#path}.new`
      try {
        await writeNoise(temporary)
        await rename(temporary, this.#path)
      } catch {
        await rm(temporary, {force: true}).catch(() => undefined)
        return
      }
    }
    this.#isGivenUp = false
  }
}

export function freeBytes(path: string): number {
  try {
    const {bavail, bsize} = statfsSync(dirname(path))
    return bavail * bsize
  } catch {
    return 0
  }
}

/** Noise, because a file system that compresses would keep no room for zeros. */
async function writeNoise(path: string): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    for (let done = 0; done < reserveBytes; done += chunkBytes) await file.writeFile(randomBytes(chunkBytes))
    await file.sync()
  } finally {
    await file.close()
  }
}

function sizeOf(path: string): number {
  return statSync(path, {throwIfNoEntry: false})?.size ?? 0
}
