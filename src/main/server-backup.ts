import {copyFile, mkdtemp, open, rename, rm} from 'node:fs/promises'
import {hostname} from 'node:os'
import {dirname, join, resolve} from 'node:path'
import {refuseIfExposed} from '../platform/files.ts'
import {leastPassphrase} from '../platform/sealed-file.ts'
import {copyFileStore, type FileCopy} from '../store/file-copy.ts'
import {migrations} from '../store/migrations/migrations.ts'
import {
  type BackupManifest,
  digestOf,
  keyNames,
  packBackup,
  storeName,
  syncFolder,
  unpackBackup,
} from './backup-archive.ts'
import {besideServer, findStore, localActor, type ServerPlace} from './beside.ts'
import {CannotStart, FlagError} from './settings.ts'

export interface BackupMade {
  file: string
  sizeBytes: number
  sha256: string
  encrypted: boolean
  manifest: BackupManifest
}

/**
 * Copies the store as it is at one moment, while the server runs or not, into one file. With `withKey` the server's keys go
 * along (T14). The file is read back before it gets its name.
 */
export async function backupServer(
  options: ServerPlace & {file: string; withKey: boolean; passphrase?: string; version: string},
): Promise<BackupMade> {
  const {withKey, passphrase, version} = options
  const file = resolve(options.file)
  checkPassphrase(passphrase)
  const {directory, at, isPostgres} = await findStore(options)
  if (isPostgres) throw postgresIsNotOurs(directory)
  const claimed = await claim(file)
  const folder = await mkdtemp(join(dirname(file), '.gpuctl-backup-')).catch(error => claimed.giveBack(error))
  try {
    const copy = await copyFileStore(at, join(folder, storeName))
    const keys = withKey ? await copyKeys(directory, folder) : []
    const about = {gpuctl: version, host: hostname(), createdAt: new Date().toISOString(), ...copy}
    const packed = join(folder, 'packed')
    const manifest = await packBackup({folder, names: [storeName, ...keys], about, passphrase, to: packed})
    await unpackBackup(packed, await mkdtemp(join(folder, 'check-')), passphrase)
    const {sizeBytes, sha256} = await digestOf(packed)
    await note(at, copy, {file, sha256, keys: withKey, encrypted: passphrase !== undefined})
    await rename(packed, file)
    await syncFolder(dirname(file))
    return {file, sizeBytes, sha256, encrypted: passphrase !== undefined, manifest}
  } catch (error) {
    return await claimed.giveBack(error)
  } finally {
    await rm(folder, {recursive: true, force: true})
  }
}

/** Throws FlagError. */
export function checkPassphrase(passphrase: string | undefined): void {
  if (passphrase === undefined || [...passphrase].length >= leastPassphrase) return
  throw new FlagError(`The passphrase must have ${leastPassphrase} characters or more.`)
}

/** Takes the name, so that nothing that is there is ever written over. */
async function claim(file: string): Promise<{giveBack(error: unknown): Promise<never>}> {
  try {
    await (await open(file, 'wx', 0o600)).close()
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    const words = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`
    throw new CannotStart(`${file} ${words}.`, 'Give another path.', {cause: error})
  }
  return {
    async giveBack(error) {
      await rm(file, {force: true})
      throw error
    },
  }
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

function postgresIsNotOurs(directory: string): CannotStart {
  return new CannotStart(
    'The store is in PostgreSQL, whose own tools copy it.',
    `Run pg_dump --format=custom --file=FILE with the server's URL in PGSERVICE or PGHOST, PGDATABASE and PGUSER, and keep ${keyNames.join(', ')} of ${directory} in another safe place.`,
  )
}
