import {existsSync} from 'node:fs'
import {loadSqlite} from './sqlite-driver.ts'

/** What is wrong with the store at a path or `postgres://` URL, or undefined; it is only read, beside a server that runs as well. */
export async function storeTrouble(at: string): Promise<string | undefined> {
  try {
    return /^postgres(ql)?:/.test(at) ? await postgresTrouble(at) : await sqliteTrouble(at)
  } catch (error) {
    return (error as Error).message
  }
}

async function sqliteTrouble(path: string): Promise<string | undefined> {
  if (!existsSync(path)) return undefined
  const Sqlite = await loadSqlite()
  const database = new Sqlite(path, {readOnly: true})
  try {
    const rows = database.prepare('PRAGMA quick_check(3)').all() as {quick_check: string}[]
    const faults = rows.map(row => row.quick_check).filter(text => text !== 'ok')
    return faults.length === 0 ? undefined : faults.join('; ')
  } finally {
    database.close()
  }
}

async function postgresTrouble(url: string): Promise<string | undefined> {
  const {default: postgres} = await import('pg')
  const client = new postgres.Client({connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 5_000})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return undefined
  } finally {
    await client.end().catch(() => {})
  }
}
