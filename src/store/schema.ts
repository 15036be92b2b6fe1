import {existsSync} from 'node:fs'
import {isPostgresUrl, placeOf, settings, unusable as unusablePostgres} from './postgres-url.ts'
import {loadSqlite, Statements} from './sqlite-driver.ts'
import {refuseForeign, unusable} from './sqlite-file.ts'

const newest = 'SELECT MAX(version) AS version FROM schema_versions'

/** Newest step that the schema of a store has; 0 where nothing is there yet. Only reads. Throws StoreUnusable. */
export async function schemaOf(at: string): Promise<number> {
  return isPostgresUrl(at) ? schemaOfPostgres(at) : schemaOfFile(at)
}

async function schemaOfFile(path: string): Promise<number> {
  if (!existsSync(path)) return 0
  const DatabaseSync = await loadSqlite()
  const database = new DatabaseSync(path, {readOnly: true, timeout: 2_000})
  try {
    const statements = new Statements({database})
    if (statements.all('SELECT 1 FROM sqlite_schema LIMIT 1').length === 0) return 0
    refuseForeign(database, path)
    return Number(statements.all(newest)[0]?.version ?? 0)
  } catch (error) {
    throw unusable(error, path)
  } finally {
    database.close()
  }
}

async function schemaOfPostgres(url: string): Promise<number> {
  const {default: pg} = await import('pg')
  const client = new pg.Client({...settings(url, pg.types), connectionTimeoutMillis: 10_000})
  try {
    await client.connect()
    const {rows} = await client.query(`SELECT to_regclass('schema_versions') IS NOT NULL AS known`)
    if (!rows[0].known) return 0
    return Number((await client.query(newest)).rows[0].version ?? 0)
  } catch (error) {
    throw unusablePostgres(error, placeOf(url))
  } finally {
    await client.end().catch(() => undefined)
  }
}
