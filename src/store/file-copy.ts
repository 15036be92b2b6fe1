import {closeSync, existsSync, fsyncSync, openSync} from 'node:fs'
import {StoreUnusable} from './sql.ts'
import {loadSqlite, Statements} from './sqlite-driver.ts'
import {check, unusable} from './sqlite-file.ts'

export interface FileCopy {
  /** Newest step that the schema has. */
  schema: number
  serverId: string
}

/**
 * Copies a SQLite store as it is at one moment, while a server may write to it, into a new file that its owner alone may
 * read, and looks whether the copy is sound. Throws StoreUnusable.
 */
export async function copyFileStore(path: string, to: string): Promise<FileCopy> {
  refuseNone(path)
  const DatabaseSync = await loadSqlite()
  try {
    const source = new DatabaseSync(path, {timeout: 10_000, readOnly: true})
    try {
      closeSync(openSync(to, 'wx', 0o600))
      new Statements({database: source}).all('VACUUM INTO ?', [to])
    } finally {
      source.close()
    }
    const descriptor = openSync(to, 'r')
    fsyncSync(descriptor)
    closeSync(descriptor)
    return await lookAt(to)
  } catch (error) {
    throw unusable(error, path)
  }
}

/** Throws StoreUnusable. */
export function refuseNone(path: string): void {
  if (!existsSync(path)) throw new StoreUnusable(`There is no store at ${path}.`, 'Give --data as for `server start`.')
}

/** What the file of a store says of itself. Throws StoreUnusable when it is damaged or no store of ours. */
export async function lookAt(path: string): Promise<FileCopy> {
  const DatabaseSync = await loadSqlite()
  const database = new DatabaseSync(path, {readOnly: true})
  try {
    check(database, path)
    const statements = new Statements({database})
    const version = statements.all('SELECT MAX(version) AS version FROM schema_versions')[0]?.version
    const id = statements.all(`SELECT value FROM settings WHERE name = 'server_id'`)[0]?.value
    return {schema: Number(version ?? 0), serverId: String(id ?? '')}
  } catch (error) {
    throw unusable(error, path)
  } finally {
    database.close()
  }
}
