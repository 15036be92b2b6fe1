import type {Client, ClientConfig} from 'pg'
import {longestIdleMs} from './postgres-transactions.ts'
import {StoreUnusable} from './sql.ts'

/** Types of results that we read as numbers: 64-bit integers (ours stay below 2^53). */
const int8 = 20

export function isPostgresUrl(at: string): boolean {
  return /^postgres(ql)?:\/\//.test(at)
}

/** Of a connection to that URL. */
export function settings(url: string, {getTypeParser}: {getTypeParser: Client['getTypeParser']}): ClientConfig {
  const asNumber = (text: string) => Number(text)
  return {
    connectionString: url,
    application_name: 'gpuctl',
    keepAlive: true,
    statement_timeout: 30_000,
    // A transaction that awaits something other than the store is ended there, and its locks with it.
    idle_in_transaction_session_timeout: longestIdleMs,
    types: {
      getTypeParser: ((oid: number, format?: 'text') =>
        oid === int8 ? asNumber : getTypeParser(oid, format)) as Client['getTypeParser'],
    },
  }
}

/** Refused by name or password, no such database, no right to make tables, a version without what we need. */
export function unusable(error: unknown, place: string): unknown {
  const {code, message} = error as {code?: string; message: string}
  if (code === undefined || !/^(28|3D|3F|42)...$/.test(code)) return error
  return new StoreUnusable(
    `${place} cannot be used: ${message}`,
    'Check user, password and database in the URL, that the user owns the database, and that PostgreSQL is 13 or newer.',
    {cause: error},
  )
}

/** The URL without its password. */
export function placeOf(url: string): string {
  const {host, pathname} = new URL(url)
  return `The database ${pathname.slice(1)} on ${host}`
}
