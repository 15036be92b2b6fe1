import {closeSync, constants, existsSync, fchmodSync, fstatSync, openSync, rmSync} from 'node:fs'
import type {Migration} from './migrations/migration.ts'
import {freeBytes} from './reserve-file.ts'
import {StoreUnusable} from './sql.ts'
import {type Database, failureOf, type SqliteFailure, Statements} from './sqlite-driver.ts'

/** "gpuc": tells our files from other SQLite files. */
const applicationId = 0x67707563
/** A quick check reads the whole file; of a larger one only the small tables are checked. */
const largestCheckedBytes = 64 * 1024 * 1024
/** Pages that the writer keeps in memory: ids are random, so inserts touch their indexes all over. */
const cacheKiB = 32 * 1024
/** 16 MiB of log between two checkpoints: a page that many commits change is then written once. */
const checkpointPages = 4_000
/** A write that fails for want of less room than this is a full disk, whatever SQLite calls it. */
const noRoomBytes = 1024 * 1024

/** Secrets' hashes and names lie in it: nobody else may read it. The log and its index take over the file's mode. */
export function makePrivate(file: string): void {
  const descriptor = openItself(file)
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

/** Makes it where there is none; what is a link was planted, or leads to a file whose folder nobody has looked at. */
function openItself(file: string): number {
  const {O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW} = constants
  try {
    return openSync(file, O_WRONLY | O_APPEND | O_CREAT | (O_NOFOLLOW ?? 0), 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOOP') throw error
    throw new StoreUnusable(`${file} is a symbolic link.`, 'Remove it, or move the file that it leads to here.')
  }
}

/** Refuses other programs' files and broken ones (F25), before anything is written to them. */
export function check(database: Database, file: string): void {
  const pragma = pragmaOf(database)
  const pages = Number(pragma('page_count'))
  if (pages === 0) return
  refuseForeign(database, file)
  const bytes = pages * Number(pragma('page_size'))
  const subjects = bytes <= largestCheckedBytes ? [''] : [`('users')`, `('nodes')`, `('settings')`, `('held_gpus')`]
  for (const subject of subjects) {
    const verdict = pragma(`quick_check${subject}`)
    if (verdict !== 'ok') throw new Error(`quick_check: ${verdict}`)
  }
}

/** Throws StoreUnusable for another program's file. */
export function refuseForeign(database: Database, file: string): void {
  if (pragmaOf(database)('application_id') === applicationId) return
  throw new StoreUnusable(`${file} is not a database of gpuctl.`, 'Give another file, or move this one away.')
}

function pragmaOf(database: Database) {
  const statements = new Statements({database})
  return (text: string) => Object.values(statements.all(`PRAGMA ${text}`)[0] ?? {})[0]
}

export function prepareWriter(database: Database, isDurable: boolean): void {
  // Once: it is a write, and a full disk is no reason not to start.
  const isNew = database.prepare('PRAGMA page_count').get().page_count === 0
  if (isNew) database.exec(`PRAGMA application_id = ${applicationId}`)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${isDurable ? 'FULL' : 'OFF'}; PRAGMA foreign_keys = ON;
    PRAGMA cache_size = -${cacheKiB};
    PRAGMA wal_autocheckpoint = ${checkpointPages}; PRAGMA journal_size_limit = ${largestCheckedBytes}`)
}

/** A copy of the file as the older program left it, for the way back. Of each schema version one, the newest. */
export function keepCopyBeforeMigration(database: Database, file: string, migrations: readonly Migration[]): void {
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
export function judge(error: unknown, file: string): SqliteFailure {
  const kind = failureOf(error)
  return kind === 'broken' && hasNoRoom(file) ? 'full' : kind
}

export function unusable(error: unknown, file: string): unknown {
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

/** So little room that even to open the file may fail: the log's index has to grow. */
export function hasNoRoom(file: string): boolean {
  return freeBytes(file) < noRoomBytes
}
