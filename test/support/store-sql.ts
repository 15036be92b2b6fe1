import pg from 'pg'
import {loadSqlite} from '../../src/store/sqlite-driver.ts'

/** Statements as somebody would give them who can write to the store, past gpuctl: at the path of a file or a URL. */
export async function execute(at: string, statements: readonly string[]): Promise<void> {
  if (at.startsWith('postgres:')) {
    const client = new pg.Client(at)
    await client.connect()
    try {
      for (const statement of statements) await client.query(statement)
    } finally {
      await client.end()
    }
    return
  }
  const database = new (await loadSqlite())(at, {timeout: 5_000})
  try {
    for (const statement of statements) database.exec(statement)
  } finally {
    database.close()
  }
}
