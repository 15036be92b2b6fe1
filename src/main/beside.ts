import {hostname, userInfo} from 'node:os'
import {join} from 'node:path'
import {Journal} from '../domain/journal.ts'
import {systemClock} from '../platform/clock.ts'
import {openStore} from '../store/open.ts'
import type {OpenedStore} from '../store/opened-store.ts'
import {serverDirectory} from './local-fleet.ts'
import {readRunFile} from './run-file.ts'
import {CannotStart} from './settings.ts'

/** Where a server of this machine keeps what it knows. */
export interface ServerPlace {
  data?: string
  /** `postgres://…`; absent: a SQLite file in the directory. */
  database?: string
}

export interface FoundStore {
  directory: string
  /** Path or `postgres://` URL. */
  at: string
  isPostgres: boolean
}

/** Throws CannotStart where the server that runs uses another store than the one that is meant. */
export async function findStore({data, database}: ServerPlace): Promise<FoundStore> {
  const directory = serverDirectory(data)
  const isPostgres = database !== undefined
  const run = await readRunFile(directory)
  if (run?.store === 'postgres' && !isPostgres) {
    throw new CannotStart(
      'The server that runs here keeps its store in PostgreSQL.',
      'Give its URL by GPUCTL_DATABASE_URL, as the server has it.',
    )
  }
  return {directory, at: database ?? join(directory, 'server.db'), isPostgres}
}

/** Who changes the store past the API: somebody on the server's own machine. */
export function localActor(): {username: string; requestId: string} {
  return {username: `${userName()}@${hostname()}`, requestId: 'local'}
}

/** Works on the store beside a server that may run, and closes it. */
export async function besideServer<T>(
  at: string,
  work: (parts: {store: OpenedStore; journal: Journal}) => Promise<T>,
): Promise<T> {
  const onFatal = (error: unknown) => {
    throw error
  }
  const store = await openStore({at, onFatal, beside: true})
  try {
    return await work({store, journal: new Journal({store, clock: systemClock})})
  } finally {
    await store.close()
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid-${process.getuid?.() ?? 'unknown'}`
  }
}
