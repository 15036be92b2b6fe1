import {closeSync, openSync} from 'node:fs'
import {StoreUnusable} from './sql.ts'
import {type Database, failureOf} from './sqlite-driver.ts'

/** A server that is stopping needs a moment; its successor waits so long. */
const patienceMs = 1_000

/**
 * Keeps a second server off the database (F26), until `release`. The kernel drops the lock with the process, however it
 * ends, so there is never a stale one. Node has no call for file locks; SQLite has, so the lock is an empty database of
 * its own beside the real one, where reading tools stay welcome.
 */
export function lockFile(DatabaseSync: new (path: string, options: object) => Database, file: string): () => void {
  const path = `${file}.lock`
  closeSync(openSync(path, 'a', 0o600))
  const database = new DatabaseSync(path, {timeout: patienceMs})
  try {
    // Without a journal file it writes nothing, so that it works on a full disk.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (failureOf(error) !== 'busy') throw error
    throw new StoreUnusable(
      `Another gpuctl server uses ${file}.`,
      'Stop it with `gpuctl server stop`, or give this one a data directory of its own.',
      {cause: error},
    )
  }
  return () => {
    if (!database.isOpen) return
    database.exec('ROLLBACK')
    database.close()
  }
}
