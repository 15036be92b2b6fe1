import {mkdir, mkdtemp, rename, rm, stat} from 'node:fs/promises'
import {join} from 'node:path'
import {Journal} from '../domain/journal.ts'
import {systemClock} from '../platform/clock.ts'
import {ensurePrivateDirectory, syncDirectory} from '../platform/files.ts'
import {DirectoryLocked, lockDirectory} from '../platform/lock.ts'
import {type Rollback, withRollback} from '../platform/rollback.ts'
import {isSealed} from '../platform/sealed-file.ts'
import {copyToPostgres, refuseUsed} from '../store/copy-to-postgres.ts'
import {openStore} from '../store/open.ts'
import {type BackupManifest, digestOf, storeName, unpackBackup} from './backup-archive.ts'
import {type BucketAccess, fetchObject, isBucketUrl} from './backup-bucket.ts'
import {localActor} from './beside.ts'
import {serverDirectory} from './local-fleet.ts'
import {CannotStart} from './settings.ts'

export interface Restored {
  manifest: BackupManifest
  /** Where the former store and keys lie; null where there were none. */
  kept: string | null
  /** Names of keys that the backup brought. */
  keys: string[]
  /** The key that opens sealed secrets came with it, or was here. */
  hasVaultKey: boolean
}

/**
 * Puts a backup in the place of the store, or into an empty PostgreSQL database. Refuses while a server runs. All is unpacked, held to its checksums, opened and
 * brought to the newest schema beside the old store; then single renames change them, which are taken back if one fails.
 */
export async function restoreServer(options: {
  data?: string
  /** `postgres://…` of an empty database, instead of the SQLite file. */
  database?: string
  /** Path, or `s3://bucket/key`. */
  file: string
  bucket?: BucketAccess
  /** Asked for where the backup is encrypted. */
  findPassphrase: () => Promise<string>
}): Promise<Restored> {
  const {findPassphrase, database} = options
  const directory = serverDirectory(options.data)
  const isFar = isBucketUrl(options.file)
  if (!isFar) await lookFor(options.file)
  await ensurePrivateDirectory(directory)
  const lock = await lockOrExplain(directory)
  const staging = await mkdtemp(join(directory, '.restore-'))
  try {
    const file = isFar ? join(staging, 'fetched') : options.file
    if (isFar) await fetchObject(options.file, options.bucket ?? {}, file)
    const passphrase = (await isSealed(file)) ? await findPassphrase() : undefined
    const manifest = await unpackBackup(file, staging, passphrase)
    await openOnce(join(staging, storeName), {...(await digestOf(file)), from: manifest.createdAt})
    const all = manifest.members.map(({path}) => path)
    if (database !== undefined) await fillDatabase(join(staging, storeName), database)
    const names = database === undefined ? all : all.filter(name => name !== storeName)
    const kept = await swapIn({directory, staging, names})
    const keys = names.filter(name => name !== storeName)
    return {manifest, kept, keys, hasVaultKey: await isThere(join(directory, 'vault-key'))}
  } finally {
    await rm(staging, {recursive: true, force: true})
    await lock.release()
  }
}

async function lookFor(file: string): Promise<void> {
  await stat(file).catch(error => {
    throw new CannotStart(`${file} cannot be read (${error.code}).`, 'Give the path of a backup.', {cause: error})
  })
}

async function lockOrExplain(directory: string) {
  try {
    return await lockDirectory(directory)
  } catch (error) {
    if (!(error instanceof DirectoryLocked)) throw error
    throw new CannotStart('A control server runs here.', 'End it first: `gpuctl server stop`.', {cause: error})
  }
}

/** As the server will open it; the first thing that it remembers is where it comes from. */
async function openOnce(at: string, details: {sha256: string; from: string}): Promise<void> {
  const store = await openStore({at, onFatal: refuse})
  try {
    const serverId = (await store.settings.get('server_id')) ?? 'server'
    const journal = new Journal({store, clock: systemClock})
    await journal.change((_, record) => record.audit(localActor(), 'server.restore', serverId, {...details}))
  } finally {
    await store.close()
  }
}

/** All or nothing, into a database that holds no rows yet. */
async function fillDatabase(from: string, url: string): Promise<void> {
  await refuseUsed(url)
  const store = await openStore({at: url, onFatal: refuse})
  await store.close()
  await copyToPostgres(from, url, () => undefined)
}

function refuse(error: unknown): never {
  throw error
}

/** The log of a server that was killed belongs to its store. */
const companions = [`${storeName}-wal`, `${storeName}-shm`]

/** Moves the old files away and the new ones in, or leaves all as it was. Answers where the old ones are. */
export function swapIn(parts: {directory: string; staging: string; names: readonly string[]}): Promise<string | null> {
  return withRollback(rollback => swap({...parts, rollback}))
}

async function swap(parts: {
  directory: string
  staging: string
  names: readonly string[]
  rollback: Rollback
}): Promise<string | null> {
  const {directory, staging, names, rollback} = parts
  const aside = join(directory, `before-restore-${new Date().toISOString().replace(/[:.]/g, '-')}`)
  const move = async (from: string, to: string) => {
    await rename(from, to)
    rollback.add(to, () => rename(to, from))
  }
  await mkdir(aside, {mode: 0o700})
  rollback.add(aside, () => rm(aside, {recursive: true}))
  let moved = 0
  for (const name of [...(names.includes(storeName) ? companions : []), ...names]) {
    if (!(await isThere(join(directory, name)))) continue
    await move(join(directory, name), join(aside, name))
    moved += 1
  }
  for (const name of [...names].sort(storeLast)) await move(join(staging, name), join(directory, name))
  await syncDirectory(aside)
  await syncDirectory(directory)
  if (moved > 0) return aside
  await rm(aside, {recursive: true})
  return null
}

const storeLast = (one: string, other: string) => Number(one === storeName) - Number(other === storeName)

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
