import type {Client} from 'pg'
import {
  type CopiedTable,
  columnNames,
  connected,
  madeByMigrations,
  orderedTables,
  ownOfEach,
  RowSum,
  rowsAtOnce,
  rowsOf,
} from './copied-tables.ts'
import {placeOf} from './postgres-url.ts'
import {StoreUnusable, type Value} from './sql.ts'
import {type Database, loadSqlite, Statements} from './sqlite-driver.ts'

/** Tables of a SQLite store with their number of rows, those first to which others refer. */
export async function tablesOf(path: string): Promise<{table: string; rows: number}[]> {
  return reading(path, source =>
    orderedTables(source).map(table => ({
      table,
      rows: Number(source.all(`SELECT COUNT(*) AS rows FROM ${table}`)[0]?.rows),
    })),
  )
}

/** Throws StoreUnusable when somebody's rows are in the database already. */
export async function refuseUsed(url: string): Promise<void> {
  await connected(url, client => refuseRows(client, placeOf(url)))
}

/**
 * Copies every row of a SQLite store into a PostgreSQL database of the same schema that holds none yet, in one transaction:
 * after a failure nothing is there, and it can be run again. Each table is read back and held to count and checksum.
 */
export async function copyToPostgres(
  path: string,
  url: string,
  onTable: (copied: CopiedTable) => void,
): Promise<CopiedTable[]> {
  return reading(path, source =>
    connected(url, async client => {
      const copied: CopiedTable[] = []
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await refuseRows(client, placeOf(url))
      for (const table of madeByMigrations) await client.query(`DELETE FROM ${table}`)
      for (const table of orderedTables(source)) {
        const types = await columnsOf(client, table)
        const names = columnNames(source, table)
        const columns = names.map(name => ({name, type: types.get(name) ?? missing(table, name)}))
        const sent = await send(source, client, table, columns)
        await takeNumbers(source, client, table, types)
        const found = await sumOf(client, table, names)
        if (found.rows !== sent.rows || found.checksum !== sent.checksum)
          throw new Error(`${table} is not the same there: ${found.rows} rows of ${sent.rows}. Nothing was kept.`)
        copied.push(found)
        onTable(found)
      }
      await client.query('COMMIT')
      return copied
    }),
  )
}

async function reading<T>(path: string, work: (source: Statements) => T | Promise<T>): Promise<T> {
  const DatabaseSync = await loadSqlite()
  const database: Database = new DatabaseSync(path, {readOnly: true})
  try {
    return await work(new Statements({database}))
  } finally {
    database.close()
  }
}

async function refuseRows(client: Client, place: string): Promise<void> {
  const {rows} = await client.query<{name: string}>(
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'`,
  )
  for (const {name} of rows.filter(one => !ownOfEach.has(one.name) && !madeByMigrations.includes(one.name))) {
    const {rowCount} = await client.query(`SELECT 1 FROM "${name.replaceAll('"', '""')}" LIMIT 1`)
    if (rowCount === 0) continue
    throw new StoreUnusable(`${place} is used already: there are rows in ${name}.`, 'Give an empty database.')
  }
}

async function columnsOf(client: Client, table: string): Promise<Map<string, string>> {
  const {rows} = await client.query<{name: string; type: string}>(
    `SELECT column_name AS name, data_type AS type FROM information_schema.columns
     WHERE table_schema = current_schema() AND table_name = $1`,
    [table],
  )
  return new Map(rows.map(({name, type}) => [name, type]))
}

function missing(table: string, column: string): never {
  throw new Error(`PostgreSQL has no column ${column} in ${table}: its schema is another one.`)
}

async function send(
  source: Statements,
  client: Client,
  table: string,
  columns: {name: string; type: string}[],
): Promise<CopiedTable> {
  const sum = new RowSum(columns.map(({name}) => name))
  const names = columns.map(({name}) => name).join(', ')
  const arrays = columns.map(({type}, at) => `$${at + 1}::${type}[]`).join(', ')
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const rows = source.all(
      `SELECT rowid AS place_in_file, * FROM ${table} WHERE rowid > ? ORDER BY rowid LIMIT ${rowsAtOnce}`,
      [after],
    )
    if (rows.length === 0) break
    after = Number(rows.at(-1)?.place_in_file)
    const found = rows.map(row => Object.fromEntries(columns.map(({name}) => [name, storable(row[name] ?? null)])))
    for (const row of found) sum.add(row)
    await client.query(
      `INSERT INTO ${table} (${names}) SELECT * FROM UNNEST(${arrays})`,
      columns.map(({name}) => found.map(row => row[name])),
    )
  }
  return {table, ...sum.value}
}

/** Numbers go on where they were, also past rows that are gone: none is ever given twice. */
async function takeNumbers(source: Statements, client: Client, table: string, types: Map<string, string>) {
  if (!types.has('number')) return
  const {rows} = await client.query(`SELECT pg_get_serial_sequence($1, 'number') AS sequence`, [table])
  const sequence: string | null = rows[0].sequence
  const given = source.all(`SELECT seq FROM sqlite_sequence WHERE name = ?`, [table])[0]?.seq
  if (sequence !== null && Number(given ?? 0) > 0) await client.query('SELECT setval($1, $2)', [sequence, given])
}

async function sumOf(client: Client, table: string, names: string[]): Promise<CopiedTable> {
  const sum = new RowSum(names)
  for await (const rows of rowsOf(client, table, names)) for (const row of rows) sum.add(row)
  return {table, ...sum.value}
}

/** PostgreSQL's text has no NUL. */
function storable(value: Value): Value {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value
}
