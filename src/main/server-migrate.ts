import {existsSync} from 'node:fs'
import {Journal} from '../domain/journal.ts'
import {systemClock} from '../platform/clock.ts'
import {ensurePrivateDirectory} from '../platform/files.ts'
import {lockDirectory} from '../platform/lock.ts'
import type {CopiedTable} from '../store/copied-tables.ts'
import {copyToPostgres, refuseUsed, tablesOf} from '../store/copy-to-postgres.ts'
import {migrations} from '../store/migrations/migrations.ts'
import {openStore} from '../store/open.ts'
import {placeOf} from '../store/postgres-url.ts'
import {schemaOf} from '../store/schema.ts'
import {findStore, localActor, type ServerPlace} from './beside.ts'
import {explainLock} from './serve.ts'
import {CannotStart, FlagError} from './settings.ts'

export interface Schema {
  /** Newest step that the store has; 0: nothing is there yet. */
  found: number
  /** Newest step of this program. */
  newest: number
  pending: {version: number; name: string}[]
}

/** How the store stands to this program. Throws CannotStart where a newer one wrote it. */
export async function lookAtSchema(place: ServerPlace): Promise<Schema> {
  const {at} = await findStore(place)
  const found = await schemaOf(at)
  const newest = migrations.at(-1)?.version ?? 0
  if (found > newest) {
    throw new CannotStart(
      `The store was written by a newer gpuctl: its schema is version ${found}, this program knows up to ${newest}.`,
      'Use the newer gpuctl, or restore the backup that was made before the upgrade.',
    )
  }
  const pending = migrations.filter(({version}) => version > found).map(({version, name}) => ({version, name}))
  return {found, newest, pending}
}

/** Runs the steps that are missing, all in one transaction. A copy of a SQLite file is kept beside it. */
export async function migrateSchema(place: ServerPlace): Promise<void> {
  const {directory, at, isPostgres} = await findStore(place)
  if (isPostgres) return openAndClose(at)
  await ensurePrivateDirectory(directory)
  const lock = await explainLock(lockDirectory(directory))
  await openAndClose(at).finally(() => lock.release())
}

/** What a copy to that database would take along. Throws when it cannot be reached, or is used. */
export async function planCopy(place: ServerPlace, to: string): Promise<{table: string; rows: number}[]> {
  const {at} = await findFile(place)
  checkTarget(to)
  await refuseUsed(to)
  return tablesOf(at)
}

/**
 * Copies a SQLite store into an empty PostgreSQL database, all or nothing, while no server runs. The file stays as it is.
 */
export async function copyStore(
  place: ServerPlace,
  to: string,
  onTable: (copied: CopiedTable) => void,
): Promise<CopiedTable[]> {
  const {directory, at} = await findFile(place)
  checkTarget(to)
  const lock = await explainLock(lockDirectory(directory))
  try {
    await refuseUsed(to)
    await openAndClose(at)
    await openAndClose(to)
    const copied = await copyToPostgres(at, to, onTable)
    await note(to, copied)
    return copied
  } finally {
    await lock.release()
  }
}

/** What the new place is called where its password must not be seen. */
export function targetName(to: string): string {
  return placeOf(to)
}

async function findFile(place: ServerPlace) {
  const found = await findStore(place)
  if (found.isPostgres) {
    throw new CannotStart(
      'The store is in PostgreSQL already, as GPUCTL_DATABASE_URL or --db says.',
      'A copy goes from SQLite to PostgreSQL; out of PostgreSQL with `server backup` and `server restore`.',
    )
  }
  if (!existsSync(found.at))
    throw new CannotStart(`There is no store at ${found.at}.`, 'Give --data as for `server start`.')
  return found
}

/** Throws FlagError. */
function checkTarget(to: string): void {
  if (/^postgres(ql)?:\/\/[^/]+\/[^/?]+/.test(to) && URL.canParse(to)) return
  throw new FlagError('--to must be the URL of a database, as postgres://gpuctl@db.example.com/gpuctl.')
}

async function openAndClose(at: string): Promise<void> {
  const store = await openStore({at, onFatal: refuse})
  await store.close()
}

async function note(to: string, copied: readonly CopiedTable[]): Promise<void> {
  const store = await openStore({at: to, onFatal: refuse})
  try {
    const serverId = (await store.settings.get('server_id')) ?? 'server'
    const rows = copied.reduce((sum, one) => sum + one.rows, 0)
    const details = {from: 'sqlite', to: 'postgres', rows}
    await new Journal({store, clock: systemClock}).change((_, record) =>
      record.audit(localActor(), 'server.migrate', serverId, details),
    )
  } finally {
    await store.close()
  }
}

function refuse(error: unknown): never {
  throw error
}
