import {copyFile, lstat, mkdtemp, readdir, rm} from 'node:fs/promises'
import {hostname} from 'node:os'
import {join} from 'node:path'
import {ensurePrivateDirectory, refuseIfExposed} from '../platform/files.ts'
import {newId} from '../platform/ids.ts'
import {leastPassphrase} from '../platform/sealed-file.ts'
import {copyFromPostgres} from '../store/copy-from-postgres.ts'
import {copyFileStore, type FileCopy, refuseNone} from '../store/file-copy.ts'
import {migrations} from '../store/migrations/migrations.ts'
import {type BackupManifest, digestOf, keyNames, packBackup, storeName, unpackBackup} from './backup-archive.ts'
import {type BucketAccess, bucketPlace, isBucketUrl} from './backup-bucket.ts'
import {filePlace} from './backup-place.ts'
import {besideServer, findStore, localActor, type ServerPlace} from './beside.ts'
import {FlagError} from './settings.ts'

/** Begins the names of what a backup works on. */
const unfinished = '.gpuctl-backup-'
const staleAfterMs = 24 * 60 * 60_000

export interface BackupMade {
  file: string
  sizeBytes: number
  sha256: string
  encrypted: boolean
  manifest: BackupManifest
}

/**
 * Copies the store as it is at one moment, while the server runs or not, into one file; one in PostgreSQL as a SQLite store. With `withKey` the server's keys go
 * along (T14). The file is read back before it gets its name; in a bucket (`s3://bucket/key`), when it lies there. What is
 * in clear lies in the server's own folder meanwhile, so that none of it stays where the backup goes, whatever is killed.
 */
export async function backupServer(
  options: ServerPlace & {file: string; bucket?: BucketAccess; withKey: boolean; passphrase?: string; version: string},
): Promise<BackupMade> {
  const {withKey, passphrase, version} = options
  checkPassphrase(passphrase)
  const {directory, at, isPostgres} = await findStore(options)
  const place = await openPlace(options, directory)
  const packed = join(place.folder, `${unfinished}${newId()}`)
  let folder: string | undefined
  try {
    if (isPostgres) await ensurePrivateDirectory(directory)
    else refuseNone(at)
    for (const one of new Set([directory, place.folder])) await sweep(one)
    folder = await mkdtemp(join(directory, unfinished))
    const copy = await (isPostgres ? copyFromPostgres : copyFileStore)(at, join(folder, storeName))
    const keys = withKey ? await copyKeys(directory, folder) : []
    const about = {gpuctl: version, host: hostname(), createdAt: new Date().toISOString(), ...copy}
    const manifest = await packBackup({folder, names: [storeName, ...keys], about, passphrase, to: packed})
    await unpackBackup(packed, await mkdtemp(join(folder, 'check-')), passphrase)
    const {sizeBytes, sha256} = await digestOf(packed)
    const encrypted = passphrase !== undefined
    await note(at, copy, {file: place.shown, sha256, keys: withKey, encrypted})
    await place.put(packed, {sizeBytes, sha256})
    return {file: place.shown, sizeBytes, sha256, encrypted, manifest}
  } catch (error) {
    await place.giveBack()
    throw error
  } finally {
    for (const path of [packed, folder]) if (path) await rm(path, {recursive: true, force: true})
  }
}

/** Of backups that were killed; no backup takes so long. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const isOld = async () => Date.now() - (await lstat(path)).mtimeMs > staleAfterMs
    if (name.startsWith(unfinished) && (await isOld())) await rm(path, {recursive: true, force: true})
  }
}

async function openPlace({file, bucket = {}}: {file: string; bucket?: BucketAccess}, directory: string) {
  return isBucketUrl(file) ? bucketPlace(file, bucket, directory) : filePlace(file)
}

/** Throws FlagError. */
export function checkPassphrase(passphrase: string | undefined): void {
  if (passphrase === undefined || [...passphrase].length >= leastPassphrase) return
  throw new FlagError(`The passphrase must have ${leastPassphrase} characters or more.`)
}

async function copyKeys(directory: string, folder: string): Promise<string[]> {
  const copied: string[] = []
  for (const name of keyNames) {
    const path = join(directory, name)
    if (!(await refuseIfExposed(path))) continue
    await copyFile(path, join(folder, name))
    copied.push(name)
  }
  return copied
}

/** A store of an older schema is left as it is: its server notes nothing of us. */
async function note(at: string, {schema, serverId}: FileCopy, details: Record<string, unknown>): Promise<void> {
  if (schema !== migrations.at(-1)?.version) return
  await besideServer(at, ({journal}) =>
    journal.change((_, record) => record.audit(localActor(), 'server.backup', serverId, details)),
  )
}
