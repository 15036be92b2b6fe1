import type {Client} from 'pg'
import type {AuditEntry} from '../domain/ports.ts'
import {
  type CopiedTable,
  columnNames,
  connected,
  madeByMigrations,
  orderedTables,
  RowSum,
  rowsAtOnce,
  rowsOf,
} from './copied-tables.ts'
import {type FileCopy, lookAt} from './file-copy.ts'
import {migrations} from './migrations/migrations.ts'
import {openStore} from './open.ts'
import {placeOf} from './postgres-url.ts'
import {type Row, StoreUnusable} from './sql.ts'
import {type Database, loadSqlite, Statements} from './sqlite-driver.ts'

/** Rows that are committed and not chained yet; SQLite chains at once, and so does the copy. */
const waiting = 'audit_waiting'

/**
 * Copies a PostgreSQL store as it is at one moment, while servers may write to it, into a new SQLite file of the same schema.
 * Each table is read back and held to count and checksum. Throws StoreUnusable.
 */
export async function copyFromPostgres(url: string, to: string): Promise<FileCopy> {
  const entries = await connected(url, async client => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const {rows} = await client.query(`SELECT to_regclass('schema_versions') IS NOT NULL AS known`)
    if (!rows[0].known) throw new StoreUnusable(`${placeOf(url)} holds no store.`, 'Start the server with it once.')
    const found = Number((await client.query('SELECT MAX(version) AS version FROM schema_versions')).rows[0].version)
    if (found > (migrations.at(-1)?.version ?? 0))
      throw new StoreUnusable(`${placeOf(url)} was written by a newer gpuctl.`, 'Use that one.')
    await (await open(to, found)).close()
    await fill(client, to)
    const left = found >= 15 ? await waitingRows(client) : []
    await client.query('COMMIT')
    return {found, left}
  })
  if (entries.left.length > 0) {
    const store = await open(to, entries.found)
    await store.audit.append(entries.left).finally(() => store.close())
  }
  return lookAt(to)
}

function open(at: string, schema: number) {
  const onFatal = (error: unknown) => {
    throw error
  }
  return openStore({at, onFatal, migrations: migrations.filter(({version}) => version <= schema)})
}

async function fill(client: Client, to: string): Promise<void> {
  const DatabaseSync = await loadSqlite()
  const database: Database = new DatabaseSync(to, {enableForeignKeyConstraints: false})
  try {
    const file = new Statements({database})
    database.exec('BEGIN')
    for (const table of madeByMigrations) file.run(`DELETE FROM ${table}`)
    for (const table of orderedTables(file).filter(name => name !== waiting)) {
      const names = columnNames(file, table)
      const sent = await take(client, file, table, names)
      if (names.includes('number')) await takeNumber(client, file, table)
      const found = sumOf(file, table, names)
      if (found.rows !== sent.rows || found.checksum !== sent.checksum)
        throw new Error(`${table} is not the same in the copy: ${found.rows} rows of ${sent.rows}.`)
    }
    const [broken] = file.all('PRAGMA foreign_key_check')
    if (broken) throw new Error(`A row of ${broken.table} refers to one of ${broken.parent} that is not there.`)
    database.exec('COMMIT')
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } finally {
    database.close()
  }
}

async function take(client: Client, file: Statements, table: string, names: string[]): Promise<CopiedTable> {
  const sum = new RowSum(names)
  const insert = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`
  for await (const rows of rowsOf(client, table, names)) {
    for (const row of rows) {
      sum.add(row)
      file.run(
        insert,
        names.map(name => row[name] ?? null),
      )
    }
  }
  return {table, ...sum.value}
}

/** Numbers go on where they were, also past rows that are gone: none is ever given twice. */
async function takeNumber(client: Client, file: Statements, table: string): Promise<void> {
  const {rows} = await client.query(`SELECT pg_get_serial_sequence($1, 'number') AS sequence`, [table])
  if (rows[0].sequence === null) return
  const {last_value: last, is_called: isUsed} = (await client.query(`SELECT * FROM ${rows[0].sequence}`)).rows[0]
  if (!isUsed) return
  const known = Number(file.all('SELECT seq FROM sqlite_sequence WHERE name = ?', [table])[0]?.seq ?? 0)
  file.run('DELETE FROM sqlite_sequence WHERE name = ?', [table])
  file.run('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)', [table, Math.max(known, Number(last))])
}

function sumOf(file: Statements, table: string, names: string[]): CopiedTable {
  const sum = new RowSum(names)
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const rows: Row[] = file.all(
      `SELECT rowid AS place_in_file, * FROM ${table} WHERE rowid > ? ORDER BY rowid LIMIT ${rowsAtOnce}`,
      [after],
    )
    for (const row of rows) sum.add(row)
    if (rows.length < rowsAtOnce) return {table, ...sum.value}
    after = Number(rows.at(-1)?.place_in_file)
  }
}

async function waitingRows(client: Client): Promise<AuditEntry[]> {
  const {rows} = await client.query(
    `SELECT at, actor, action, object, request_id, details FROM ${waiting} ORDER BY number`,
  )
  return rows.map(({request_id: requestId, details, ...row}) => ({...row, requestId, details: JSON.parse(details)}))
}
