import type {ColumnTypes, Migration} from './migrations/migration.ts'
import {type Sql, StoreUnusable} from './sql.ts'

export interface MigrateOptions {
  types: ColumnTypes
  migrations: readonly Migration[]
  place: string
  /** False: a schema that is not the newest is refused. */
  mayMigrate?: boolean
}

/**
 * Brings the schema up to the newest step, all missing steps inside the transaction that `sql` is. Answers how many ran.
 * Refuses a schema that a newer program made (F23), since this one cannot know what its rows mean.
 */
export async function migrate(
  sql: Sql,
  {types, migrations, place, mayMigrate = true}: MigrateOptions,
): Promise<number> {
  await sql.run(
    `CREATE TABLE IF NOT EXISTS schema_versions (version ${types.integer} PRIMARY KEY, name ${types.text} NOT NULL,
      applied_at ${types.text} NOT NULL)`,
  )
  const row = await sql.get('SELECT MAX(version) AS version FROM schema_versions')
  const found = Number(row?.version ?? 0)
  const newest = migrations.at(-1)?.version ?? 0
  if (found > newest) throw newerSchema(place, found, newest)
  const pending = migrations.filter(migration => migration.version > found)
  if (pending.length > 0 && !mayMigrate) throw olderSchema(place, found, newest)
  for (const {version, name, statements, fill} of pending) {
    for (const statement of statements(types)) await sql.run(statement)
    await fill?.(sql)
    await sql.run('INSERT INTO schema_versions (version, name, applied_at) VALUES (?, ?, ?)', [
      version,
      name,
      new Date().toISOString(),
    ])
  }
  return pending.length
}

function newerSchema(place: string, found: number, newest: number): StoreUnusable {
  return new StoreUnusable(
    `${place} was written by a newer gpuctl: its schema is version ${found}, this program knows up to ${newest}.`,
    'Start the newer gpuctl again, or restore the backup that was made before the upgrade.',
  )
}

function olderSchema(place: string, found: number, newest: number): StoreUnusable {
  return new StoreUnusable(
    `${place} has the schema of an older gpuctl: version ${found}, this program works with ${newest}.`,
    'Bring it up to date first: `gpuctl server migrate`, or start the server once.',
  )
}
