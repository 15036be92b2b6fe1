import {closeSync, existsSync, fchmodSync, fstatSync, mkdtempSync, openSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Tables} from '../domain/ports.ts'
import {lockFile} from './file-lock.ts'
import {GroupCommit} from './group-commit.ts'
import {migrate} from './migrate.ts'
import type {ColumnTypes, Migration} from './migrations/migration.ts'
import type {OpenedStore} from './opened-store.ts'
import {freeBytes, ReserveFile} from './reserve-file.ts'
import {type Row, type Sql, StoreUnusable} from './sql.ts'
import {type Database, failureOf, loadSqlite, type SqliteFailure, Statements} from './sqlite-driver.ts'
import {tablesOver} from './tables.ts'

const types: ColumnTypes = {
  number: 'INTEGER PRIMARY KEY AUTOINCREMENT',
  text: 'TEXT',
  integer: 'INTEGER',
  writer: '',
}

/** "gpuc": tells our files from other SQLite files. */
const applicationId = 0x67707563
/** A quick check reads the whole file; of a larger one only the small tables are checked. */
const largestCheckedBytes = 64 * 1024 * 1024
const busyTimeoutMs = 2_000
/** Pages that the writer keeps in memory: ids are random, so inserts touch their indexes all over. */
const cacheKiB = 32 * 1024
/** 16 MiB of log between two checkpoints: a page that many commits change is then written once. */
const checkpointPages = 4_000
/** A write that fails for want of less room than this is a full disk, whatever SQLite calls it. */
const noRoomBytes = 1024 * 1024

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
    if (freeBytes(file) < noRoomBytes) reserve.giveUp()
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
      transaction: <T>(work: (tx: Tables) => Promise<T>) => groups.run(sql => work(tablesOver(sql))),
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

/** Outside of a transaction: reads see what is committed, a write is a transaction of its own. */
class OutsideSql implements Sql {
  readonly words = {forUpdate: '', settled: '1 = 1'}
  readonly #statements: Statements
  readonly #groups: GroupCommit
  readonly #givesBack: boolean

  constructor({statements, groups, givesBack}: {statements: Statements; groups: GroupCommit; givesBack?: boolean}) {
    this.#statements = statements
    this.#groups = groups
    this.#givesBack = givesBack ?? false
  }

  async all(...[statement, parameters]: Parameters<Sql['all']>): Promise<Row[]> {
    return this.#statements.all(statement, parameters)
  }

  async get(...[statement, parameters]: Parameters<Sql['get']>): Promise<Row | undefined> {
    return this.#statements.all(statement, parameters)[0]
  }

  write(...[statement, parameters]: Parameters<Sql['write']>): Promise<Row[]> {
    return this.together(sql => sql.write(statement, parameters))
  }

  run(...[statement, parameters]: Parameters<Sql['run']>): Promise<number> {
    return this.together(sql => sql.run(statement, parameters))
  }

  together<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#groups.run(sql => work(this.#givesBack ? sql.givingBack() : sql))
  }

  givingBack(): Sql {
    return new OutsideSql({statements: this.#statements, groups: this.#groups, givesBack: true})
  }
}

/** Secrets' hashes and names lie in it: nobody else may read it. The log and its index take over the file's mode. */
function makePrivate(file: string): void {
  const descriptor = openSync(file, 'a', 0o600)
  try {
    const {mode, size} = fstatSync(descriptor)
    if ((mode & 0o077) === 0) return
    if (size === 0) {
      fchmodSync(descriptor, 0o600)
      return
    }
    throw new StoreUnusable(
      `${file} can be read by other users of this machine (mode ${(mode & 0o777).toString(8)}).`,
      `If nobody else should have read it: chmod 600 ${file}`,
    )
  } finally {
    closeSync(descriptor)
  }
}

/** Refuses other programs' files and broken ones (F25), before anything is written to them. */
function check(database: Database, file: string): void {
  const statements = new Statements({database})
  const pragma = (text: string) => Object.values(statements.all(`PRAGMA ${text}`)[0] ?? {})[0]
  const pages = Number(pragma('page_count'))
  if (pages === 0) return
  if (pragma('application_id') !== applicationId) {
    throw new StoreUnusable(`${file} is not a database of gpuctl.`, 'Give another file, or move this one away.')
  }
  const bytes = pages * Number(pragma('page_size'))
  const subjects =
    bytes <= largestCheckedBytes ? [''] : [`('users')`, `('nodes')`, `('settings')`, `('allocation_gpus')`]
  for (const subject of subjects) {
    const verdict = pragma(`quick_check${subject}`)
    if (verdict !== 'ok') throw new Error(`quick_check: ${verdict}`)
  }
}

function prepareWriter(database: Database, isDurable: boolean): void {
  // Once: it is a write, and a full disk is no reason not to start.
  const isNew = database.prepare('PRAGMA page_count').get().page_count === 0
  if (isNew) database.exec(`PRAGMA application_id = ${applicationId}`)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${isDurable ? 'FULL' : 'OFF'}; PRAGMA foreign_keys = ON;
    PRAGMA cache_size = -${cacheKiB};
    PRAGMA wal_autocheckpoint = ${checkpointPages}; PRAGMA journal_size_limit = ${largestCheckedBytes}`)
}

/** A copy of the file as the older program left it, for the way back. Of each schema version one, the newest. */
function keepCopyBeforeMigration(database: Database, file: string, migrations: readonly Migration[]): void {
  const statements = new Statements({database})
  const known = statements.all(`SELECT 1 FROM sqlite_schema WHERE name = 'schema_versions'`)
  if (known.length === 0) return
  const found = Number(statements.all('SELECT MAX(version) AS version FROM schema_versions')[0]?.version ?? 0)
  if (found === 0 || found >= (migrations.at(-1)?.version ?? 0)) return
  const copy = `${file}.schema-${found}`
  if (existsSync(copy)) rmSync(copy)
  closeSync(openSync(copy, 'w', 0o600))
  statements.all('VACUUM INTO ?', [copy])
}

/** Also where the file of the log's index cannot grow, SQLite speaks of an I/O error. */
function judge(error: unknown, file: string): SqliteFailure {
  const kind = failureOf(error)
  return kind === 'broken' && freeBytes(file) < noRoomBytes ? 'full' : kind
}

function unusable(error: unknown, file: string): unknown {
  if (error instanceof StoreUnusable) return error
  const cause = (error as {cause?: unknown}).cause ?? error
  const words = cause instanceof Error ? cause.message : String(cause)
  const isBroken = failureOf(cause) === 'broken' || words.startsWith('quick_check')
  return new StoreUnusable(
    isBroken ? `The database ${file} is damaged (${words}).` : `The database ${file} cannot be opened: ${words}`,
    isBroken
      ? 'Restore the newest good backup in its place; keep the damaged file, rows can often be read from it.'
      : 'Check that the folder exists, that this user may write there, and that the disk has room.',
    {cause: error},
  )
}
