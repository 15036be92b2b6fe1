import type {Migration} from './migrations/migration.ts'
import {migrations as allMigrations} from './migrations/migrations.ts'
import type {OpenedStore} from './opened-store.ts'
import {isPostgresUrl} from './postgres-url.ts'

export interface OpenStoreOptions {
  /** Path of a SQLite file, `:memory:` for one that lives as long as the store, or a `postgres://` URL. */
  at: string
  /** The store's state is unknown after a failed write (F12): stop the process, let a supervisor start it again. */
  onFatal: (error: unknown) => void
  /** For tests of upgrades. */
  migrations?: readonly Migration[]
  /** Next to a server that may run: no lock is taken, and a schema that is not the newest is refused. */
  beside?: boolean
}

/**
 * Opens the store and brings its schema up to date. Loads only the library of the store that is asked for.
 * Throws StoreUnusable when it is damaged, foreign, readable by others or of a newer program; store_unavailable when a
 * PostgreSQL does not answer.
 */
export async function openStore({
  at,
  onFatal,
  migrations = allMigrations,
  beside = false,
}: OpenStoreOptions): Promise<OpenedStore> {
  if (isPostgresUrl(at)) {
    const {openPostgres} = await import('./postgres.ts')
    return openPostgres({url: at, migrations, mayMigrate: !beside})
  }
  if (beside) {
    const {openSqliteBeside} = await import('./sqlite-beside.ts')
    return openSqliteBeside({path: at, migrations})
  }
  const {openSqlite} = await import('./sqlite.ts')
  return openSqlite({path: at, migrations, onFatal})
}
