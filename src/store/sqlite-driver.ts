import type {DatabaseSyncInstance, DatabaseSyncOptions} from '@photostructure/sqlite'
import type {Row, Value} from './sql.ts'
import {UniqueViolation} from './sql.ts'

export type Database = DatabaseSyncInstance
type DatabaseClass = new (path: string, options?: DatabaseSyncOptions) => Database

/** Node's own SQLite where the running Node has it, else a package with the same interface. Never from a worker thread. */
export async function loadSqlite(): Promise<DatabaseClass> {
  const builtIn = process.getBuiltinModule?.('node:sqlite') as {DatabaseSync: DatabaseClass} | undefined
  return builtIn?.DatabaseSync ?? (await import('@photostructure/sqlite')).DatabaseSync
}

/** Statements of one connection, prepared once per text. */
export class Statements {
  readonly #database: Database
  readonly #prepared = new Map<string, ReturnType<Database['prepare']>>()

  constructor({database}: {database: Database}) {
    this.#database = database
  }

  all(statement: string, parameters: readonly Value[] = []): Row[] {
    return this.#prepare(statement).all(...parameters)
  }

  run(statement: string, parameters: readonly Value[] = []): number {
    return Number(this.#prepare(statement).run(...parameters).changes)
  }

  #prepare(statement: string): ReturnType<Database['prepare']> {
    const known = this.#prepared.get(statement)
    if (known) return known
    // Texts are few by design; the bound is for the day when one is not.
    if (this.#prepared.size >= 1000) this.#prepared.clear()
    const prepared = this.#database.prepare(statement)
    this.#prepared.set(statement, prepared)
    return prepared
  }
}

/** What an error of SQLite means for the store. `broken`: nothing may be written any more. */
export type SqliteFailure = 'full' | 'busy' | 'broken' | 'other'

/** By code where the binding gives one, else by SQLite's fixed words. */
export function failureOf(error: unknown): SqliteFailure {
  if (!(error instanceof Error)) return 'other'
  const code = Number((error as {errcode?: unknown}).errcode ?? 0) & 0xff
  if (code === 13 || error.message.includes('database or disk is full')) return 'full'
  if (code === 5 || code === 6 || /database (table )?is locked/.test(error.message)) return 'busy'
  if ([10, 11, 26].includes(code) || /disk I\/O error|malformed|is not a database/.test(error.message)) return 'broken'
  return 'other'
}

export function translated(error: unknown): unknown {
  const refused = error instanceof Error && /^UNIQUE constraint failed: (.*)$/.exec(error.message)
  return refused ? new UniqueViolation(refused[1]!, {cause: error}) : error
}
