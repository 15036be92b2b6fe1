import {createHash} from 'node:crypto'
import {createReadStream, createWriteStream} from 'node:fs'
import {mkdir, stat} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {Readable} from 'node:stream'
import {pipeline} from 'node:stream/promises'
import {createGunzip, createGzip} from 'node:zlib'
import {encodeTarHead, readTar, type TarEntry, tarEnd, tarPadding} from '../contract/tar.ts'
import {isSealed, seal, unseal} from '../platform/sealed-file.ts'
import {CannotStart} from './settings.ts'

export const manifestName = 'gpuctl-backup.json'
export const storeName = 'server.db'
/** Keys of the server, as they lie in its folder. */
export const keyNames = ['vault-key', 'token-keys', 'ssh-host-key', 'tls.pem'] as const

export interface BackupManifest {
  format: 'gpuctl-backup'
  version: 1
  /** Of the program that wrote it. */
  gpuctl: string
  host: string
  serverId: string
  createdAt: string
  /** Newest step of the store's schema. */
  schema: number
  members: {path: string; sizeBytes: number; sha256: string}[]
}

const largestManifest = 64 * 1024

/** Writes a .tar.gz of those files of a folder, mode 0600, sealed where there is a passphrase, and sees it onto the disk. */
export async function packBackup(options: {
  folder: string
  names: readonly string[]
  about: Omit<BackupManifest, 'format' | 'version' | 'members'>
  passphrase?: string
  to: string
}): Promise<BackupManifest> {
  const {folder, names, about, passphrase, to} = options
  const members: BackupManifest['members'] = []
  for (const path of names) {
    const {sizeBytes, sha256} = await digestOf(join(folder, path))
    members.push({path, sizeBytes, sha256})
  }
  const manifest: BackupManifest = {format: 'gpuctl-backup', version: 1, ...about, members}
  const packed = Readable.from(tarOf(folder, manifest)).pipe(createGzip({level: 6}))
  const content = passphrase === undefined ? packed : Readable.from(seal(packed, passphrase))
  await pipeline(content, createWriteStream(to, {flags: 'wx', mode: 0o600, flush: true}))
  return manifest
}

/** Unpacks into a folder of its own, and holds every file to its checksum. Throws CannotStart, or CannotOpen. */
export async function unpackBackup(path: string, into: string, passphrase?: string): Promise<BackupManifest> {
  const sealed = await isSealed(path)
  if (sealed && passphrase === undefined) {
    throw new CannotStart(`${path} is encrypted.`, 'Give --passphrase-file FILE or --passphrase-stdin.')
  }
  let plain = path
  if (sealed) {
    // Nothing of it is looked at before all of it is known to be whole.
    plain = join(into, 'opened.tar.gz')
    await pipeline(Readable.from(unseal(path, passphrase ?? '')), createWriteStream(plain, {flags: 'wx', mode: 0o600}))
  }
  try {
    return await unpackPlain(plain, into)
  } catch (error) {
    if (error instanceof CannotStart) throw error
    throw new CannotStart(
      `${path} is no whole backup: ${(error as Error).message}`,
      'Take another copy of it, or an older backup.',
      {cause: error},
    )
  }
}

async function unpackPlain(path: string, into: string): Promise<BackupManifest> {
  const gunzip = createGunzip()
  const source = createReadStream(path)
  source.once('error', error => gunzip.destroy(error))
  let manifest: BackupManifest | undefined
  const missing = new Set<string>()
  for await (const {entry, content} of readTar(source.pipe(gunzip))) {
    if (!manifest) {
      manifest = await readManifest(entry, content)
      for (const member of manifest.members) missing.add(member.path)
      continue
    }
    const member = manifest.members.find(one => one.path === entry.path)
    if (!member || !missing.delete(entry.path) || entry.kind !== 'file' || entry.sizeBytes !== member.sizeBytes)
      throw new Error(`${entry.path} does not belong in it`)
    const target = join(into, member.path)
    await mkdir(dirname(target), {recursive: true, mode: 0o700})
    await pipeline(content, createWriteStream(target, {flags: 'wx', mode: 0o600, flush: true}))
    if ((await digestOf(target)).sha256 !== member.sha256) throw new Error(`the checksum of ${member.path} is another`)
  }
  if (!manifest) throw new Error('it is empty')
  const [first] = missing
  if (first !== undefined) throw new Error(`${first} is missing`)
  return manifest
}

async function readManifest(entry: TarEntry, content: AsyncIterable<Buffer>): Promise<BackupManifest> {
  if (entry.path !== manifestName || entry.sizeBytes > largestManifest) throw new Error('it is not of gpuctl')
  const pieces: Buffer[] = []
  for await (const piece of content) pieces.push(piece)
  const manifest = JSON.parse(Buffer.concat(pieces).toString()) as BackupManifest
  if (manifest.format !== 'gpuctl-backup') throw new Error('it is not of gpuctl')
  if (manifest.version !== 1) {
    throw new CannotStart('The backup was made by a newer gpuctl.', 'Restore it with that one, or a newer.')
  }
  const known: readonly string[] = [storeName, ...keyNames]
  const stranger = manifest.members.find(({path}) => !known.includes(path))
  if (stranger) throw new Error(`${stranger.path} does not belong in it`)
  return manifest
}

async function* tarOf(folder: string, manifest: BackupManifest): AsyncGenerator<Uint8Array> {
  const text = Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`)
  const modifiedAtMs = Date.parse(manifest.createdAt)
  const head = (path: string, sizeBytes: number) =>
    encodeTarHead({path, sizeBytes, kind: 'file', mode: 0o600, uid: 0, gid: 0, modifiedAtMs, linkTarget: ''})
  yield head(manifestName, text.length)
  yield text
  yield tarPadding(text.length)
  for (const {path, sizeBytes} of manifest.members) {
    yield head(path, sizeBytes)
    yield* createReadStream(join(folder, path))
    yield tarPadding(sizeBytes)
  }
  yield tarEnd
}

export async function digestOf(path: string): Promise<{sizeBytes: number; sha256: string}> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return {sizeBytes: (await stat(path)).size, sha256: hash.digest('hex')}
}
