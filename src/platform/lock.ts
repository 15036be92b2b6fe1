import {open, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'

/** Another process holds the directory. */
export class DirectoryLocked extends Error {
  override readonly name = 'DirectoryLocked'
  readonly directory: string
  /** The holder; undefined when it has not said so yet. */
  readonly pid: number | undefined

  constructor(directory: string, pid: number | undefined) {
    super(`${directory} is in use by ${pid === undefined ? 'another process' : `process ${pid}`}.`)
    this.directory = directory
    this.pid = pid
  }
}

export interface DirectoryLock {
  /** May be repeated. */
  release(): Promise<void>
}

/**
 * Takes the directory for this process alone, or throws `DirectoryLocked`. The kernel gives the lock back however the
 * process ends. Node has no flock, so it is SQLite's lock on an empty file (fcntl on Linux, and its kin elsewhere); the
 * pid stands in a file beside it and is only a hint.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const {DatabaseSync} = await import('@photostructure/sqlite')
  const path = join(directory, '.lock')
  const pidPath = join(directory, '.lock.pid')
  await createOnce(path)

  const database = new DatabaseSync(path)
  try {
    database.exec('PRAGMA busy_timeout = 0')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (!/locked|busy/i.test(String(error))) throw error
    throw new DirectoryLocked(directory, await readPid(pidPath))
  }
  await writeFile(pidPath, `${process.pid}\n`, {mode: 0o600})

  let held = true
  return {
    async release() {
      if (!held) return
      held = false
      await rm(pidPath, {force: true})
      database.close() // the file stays: to remove it would let two processes lock two files of one name
    },
  }
}

/** Never opens a file that is there: closing any descriptor of it would drop the lock of this very process. */
async function createOnce(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o600)).close()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

async function readPid(path: string): Promise<number | undefined> {
  const pid = Number.parseInt(await readFile(path, 'utf8').catch(() => ''), 10)
  return Number.isInteger(pid) ? pid : undefined
}
