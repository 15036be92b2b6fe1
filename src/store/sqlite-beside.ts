import {existsSync} from 'node:fs'
import type {Tables} from '../domain/ports.ts'
import {GroupCommit} from './group-commit.ts'
import {migrate} from './migrate.ts'
import type {Migration} from './migrations/migration.ts'
import type {OpenedStore} from './opened-store.ts'
import {StoreUnusable} from './sql.ts'
import {type Database, loadSqlite, Statements} from './sqlite-driver.ts'
import {judge, refuseForeign, unusable} from './sqlite-file.ts'
import {OutsideSql, types} from './sqlite-outside.ts'
import {tablesOver, tablesWhenUsed} from './tables.ts'

/** A server that writes without a rest lets others in between two of its commits. */
const busyTimeoutMs = 10_000

/**
 * A second connection to the file of a server that may run: for single changes from this machine. SQLite lets one writer in
 * at a time, and each reads what it builds on inside its transaction. Throws StoreUnusable.
 */
export async function openSqliteBeside({
  path,
  migrations,
}: {
  path: string
  migrations: readonly Migration[]
}): Promise<OpenedStore> {
  if (!existsSync(path)) {
    throw new StoreUnusable(
      `There is no store at ${path}.`,
      'Give --data as for `server start`; for PostgreSQL, GPUCTL_DATABASE_URL.',
    )
  }
  const DatabaseSync = await loadSqlite()
  const opened: Database[] = []
  const openFile = (readOnly: boolean) => {
    const database = new DatabaseSync(path, {timeout: busyTimeoutMs, readOnly})
    opened.push(database)
    return database
  }
  const close = () => {
    while (opened.length > 0) opened.pop()?.close()
  }
  try {
    const writer = openFile(false)
    refuseForeign(writer, path)
    writer.exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
    const groups = new GroupCommit({
      database: writer,
      judge: error => judge(error, path),
      isFull: () => false,
      onFull: () => false,
      onBroken: () => undefined,
    })
    await groups.run(sql => migrate(sql, {types, migrations, place: path, mayMigrate: false}))
    return {
      ...tablesOver(new OutsideSql({statements: new Statements({database: openFile(true)}), groups})),
      facts: {name: 'sqlite', manyWriters: false},
      counts: groups.counts,
      transaction: <T>(work: (tx: Tables) => Promise<T>) => groups.run(sql => work(tablesWhenUsed(sql))),
      async close() {
        await groups.idle()
        close()
      },
    }
  } catch (error) {
    close()
    throw unusable(error, path)
  }
}
