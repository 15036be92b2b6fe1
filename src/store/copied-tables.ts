import {createHash} from 'node:crypto'
import type {Client} from 'pg'
import {placeOf, settings, unusable} from './postgres-url.ts'
import type {Row} from './sql.ts'
import type {Statements} from './sqlite-driver.ts'

export interface CopiedTable {
  table: string
  rows: number
  /** Sum of the SHA-256 of all rows, in whatever order they lie. */
  checksum: string
}

/** The step of a schema is written by its migrations. */
export const ownOfEach = new Set(['schema_versions'])
/** Its one row is made by the migrations already. */
export const madeByMigrations = ['audit_head']
export const rowsAtOnce = 500
const modulus = 1n << 256n

/** A connection of its own, for as long as the work takes. */
export async function connected<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const {default: pg} = await import('pg')
  const slow = {statement_timeout: 600_000, idle_in_transaction_session_timeout: 60_000}
  const config = {...settings(url, pg.types), ...slow, connectionTimeoutMillis: 10_000}
  const client = new pg.Client(config)
  try {
    await client.connect()
    return await work(client)
  } catch (error) {
    throw unusable(error, placeOf(url))
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Those first to which others refer. */
export function orderedTables(source: Statements): string[] {
  const names = source
    .all(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
    .map(({name}) => String(name))
    .filter(name => !ownOfEach.has(name))
  const ordered: string[] = []
  const visit = (name: string) => {
    if (ordered.includes(name)) return
    for (const {table} of source.all(`SELECT DISTINCT "table" FROM pragma_foreign_key_list('${name}')`))
      if (table !== name) visit(String(table))
    ordered.push(name)
  }
  names.forEach(visit)
  return ordered
}

export function columnNames(source: Statements, table: string): string[] {
  return source.all(`SELECT name FROM pragma_table_info('${table}')`).map(({name}) => String(name))
}

/** All rows of a table of PostgreSQL, inside the transaction that is open. */
export async function* rowsOf(client: Client, table: string, names: readonly string[]): AsyncGenerator<Row[]> {
  await client.query(`DECLARE copied NO SCROLL CURSOR FOR SELECT ${names.join(', ')} FROM ${table}`)
  for (;;) {
    const {rows} = await client.query<Row>(`FETCH ${rowsAtOnce} FROM copied`)
    yield rows
    if (rows.length < rowsAtOnce) break
  }
  await client.query('CLOSE copied')
}

/** Count and checksum of rows. */
export class RowSum {
  readonly #names: readonly string[]
  #rows = 0
  #sum = 0n

  constructor(names: readonly string[]) {
    this.#names = names
  }

  add(row: Row): void {
    const text = JSON.stringify(this.#names.map(name => row[name] ?? null))
    this.#rows += 1
    this.#sum = (this.#sum + BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)) % modulus
  }

  get value(): {rows: number; checksum: string} {
    return {rows: this.#rows, checksum: this.#sum.toString(16).padStart(64, '0')}
  }
}
