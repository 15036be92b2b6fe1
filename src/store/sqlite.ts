import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Tables} from '../domain/ports.ts'
import {lockFile} from './file-lock.ts'
import {GroupCommit} from './group-commit.ts'
import {migrate} from './migrate.ts'
import type {Migration} from './migrations/migration.ts'
import type {OpenedStore} from './opened-store.ts'
import {ReserveFile} from './reserve-file.ts'
import {type Database, loadSqlite, Statements} from './sqlite-driver.ts'
import {check, hasNoRoom, judge, keepCopyBeforeMigration, makePrivate, prepareWriter, unusable} from './sqlite-file.ts'
import {OutsideSql, types} from './sqlite-outside.ts'
import {tablesOver, tablesWhenUsed} from './tables.ts'

const busyTimeoutMs = 2_000

export interface SqliteOptions {
  /** Of the database file; `:memory:` is a file in a temporary folder, gone after close. */
  path: string
  migrations: readonly Migration[]
  /** A write failed so that the file's state is unknown (F12): the process must end, and a supervisor start it again. */
  onFatal: (error: unknown) => void
}

/** Throws StoreUnusable, with words for the operator. */
export async function openSqlite({path, migrations, onFatal}: SqliteOptions): Promise<OpenedStore> {
  const temporary = path === ':memory:' ? mkdtempSync(join(tmpdir(), 'gpuctl-store-')) : undefined
  const file = temporary ? join(temporary, 'store.db') : path
  const DatabaseSync = await loadSqlite()
  const reserve = new ReserveFile({path: `${file}.reserve`})
  const opened: Database[] = []
  const openFile = (readOnly: boolean) => {
    const database = new DatabaseSync(file, {timeout: busyTimeoutMs, readOnly})
    opened.push(database)
    return database
  }
  let unlock = () => {}
  try {
    makePrivate(file)
    if (!temporary) unlock = lockFile(DatabaseSync, file)
    // Even to open it takes some room, for the log's index.
    if (hasNoRoom(file)) reserve.giveUp()
    const writer = openFile(false)
    check(writer, file)
    prepareWriter(writer, temporary === undefined)
    const groups = new GroupCommit({
      database: writer,
      judge: error => judge(error, file),
      isFull: () => reserve.isGivenUp,
      onFull: () => reserve.giveUp(),
      onBroken: onFatal,
    })
    keepCopyBeforeMigration(writer, file, migrations)
    // Mostly there is nothing to do, which a full disk must not refuse.
    await groups.run(sql => migrate(sql.givingBack(), {types, migrations, place: file}))
    const outside = new OutsideSql({statements: new Statements({database: openFile(true)}), groups})
    if (!temporary && !reserve.isGivenUp) void reserve.ensure()
    return {
      ...tablesOver(outside),
      facts: {name: 'sqlite', manyWriters: false},
      counts: groups.counts,
      transaction: <T>(work: (tx: Tables) => Promise<T>) => groups.run(sql => work(tablesWhenUsed(sql))),
      async close() {
        await groups.idle()
        await reserve.settled()
        // Asked for, because a connection whose statements are not yet collected does not do it by closing.
        if (opened.length > 0) writer.exec('PRAGMA wal_checkpoint(TRUNCATE)')
        while (opened.length > 0) opened.pop()!.close()
        unlock()
        if (temporary) rmSync(temporary, {recursive: true, force: true})
      },
    }
  } catch (error) {
    for (const database of opened) database.close()
    unlock()
    throw unusable(error, file)
  }
}
