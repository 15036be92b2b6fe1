import {randomBytes} from 'node:crypto'
import {constants, type Stats} from 'node:fs'
import {lstat, mkdir, open, rename, rm} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'

/** A path that others can read or have planted. The message names the path and the cure. */
export class ExposedPath extends Error {
  override readonly name = 'ExposedPath'
  readonly path: string

  constructor(path: string, message: string) {
    super(message)
    this.path = path
  }
}

/**
 * Replaces the file as a whole: a reader, or a crash, sees the old content or the new one. Throws `ExposedPath` for a link.
 * Not durable: after a crash of the machine it may be empty, which costs nobody a wait for the disk.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  {mode = 0o644, durable = true}: {mode?: number; durable?: boolean} = {},
): Promise<void> {
  if ((await statOf(path))?.isSymbolicLink()) throw new ExposedPath(path, `${path} is a symbolic link. Remove it.`)
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    // wx: born with its mode, and never through a link that somebody planted
    const file = await open(temporary, 'wx', mode)
    try {
      await file.writeFile(content)
      if (durable) await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, {force: true})
    throw error
  }
  if (durable) await syncDirectory(dirname(path))
}

/** `writeFileAtomic` with mode 0600. */
export function writeSecretFile(path: string, content: string | Uint8Array): Promise<void> {
  return writeFileAtomic(path, content, {mode: 0o600})
}

/** Reads a secret. Throws `ExposedPath` as `refuseIfExposed` does, and ENOENT when there is none. */
export async function readSecretFile(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ELOOP' ? new ExposedPath(path, `${path} is a symbolic link. Remove it.`) : error
  })
  try {
    refuse(path, await file.stat()) // the open file itself: nobody can swap it between the look and the read
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** Makes the directory with mode 0700, or throws `ExposedPath` when one is there that others can enter. */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  await mkdir(dirname(path), {recursive: true, mode: 0o700})
  await mkdir(path, {mode: 0o700}).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const stats = await lstat(path)
  refuse(path, stats)
  if (!stats.isDirectory()) throw new ExposedPath(path, `${path} is not a directory.`)
}

/** Throws `ExposedPath` when others can read the path, own it, or it is a link. False when it does not exist. */
export async function refuseIfExposed(path: string): Promise<boolean> {
  const stats = await statOf(path)
  if (!stats) return false
  refuse(path, stats)
  return true
}

function refuse(path: string, stats: Stats): void {
  if (stats.isSymbolicLink()) throw new ExposedPath(path, `${path} is a symbolic link. Remove it.`)
  const own = process.getuid?.()
  if (own === undefined) return // Windows has no such modes
  if (stats.uid !== own) throw new ExposedPath(path, `${path} belongs to user ${stats.uid}. Run: chown ${own} ${path}`)
  if ((stats.mode & 0o077) === 0) return
  const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
  const wanted = stats.isDirectory() ? '700' : '600'
  throw new ExposedPath(path, `${path} is open to other users (mode ${mode}). Run: chmod ${wanted} ${path}`)
}

function statOf(path: string): Promise<Stats | undefined> {
  return lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/** What was renamed in it is so after a power cut as well. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error // some file systems cannot
  } finally {
    await directory.close()
  }
}
