import {existsSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {Failure} from './failure.ts'
import {wordsOf} from './file-words.ts'

/** The text, or undefined when there is no such file. At once: every start reads some, and these files are small. */
export async function readIfThere(path: string): Promise<string | undefined> {
  // Most are not there, and a look costs less than an error.
  if (!existsSync(path)) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** Writes a file that only its owner reads (0600 in a 0700 folder), whole or not at all. One that is a link stays one. */
export async function writePrivately(given: string, text: string): Promise<void> {
  const {randomBytes} = await import('node:crypto')
  const {chmod, mkdir, open, realpath, rename, rm} = await import('node:fs/promises')
  await mkdir(dirname(given), {recursive: true, mode: 0o700})
  const path = await realpath(given).catch(() => given)
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await chmod(path, 0o600)
  } catch (error) {
    await rm(temporary, {force: true})
    throw error
  }
}

/**
 * Reads a file, and writes what `change` makes of it; undefined leaves it as it is. Of several programs that do so at once
 * none loses what another wrote. Failure where it cannot be written.
 */
export async function changePrivately(
  path: string,
  change: (before: string | undefined) => Promise<string | undefined> | string | undefined,
): Promise<void> {
  if ((await change(await readIfThere(path))) === undefined) return
  const {mkdir, rm} = await import('node:fs/promises')
  const lock = `${path}.lock`
  try {
    await mkdir(dirname(path), {recursive: true, mode: 0o700})
    await takeLock(lock)
    try {
      const after = await change(await readIfThere(path))
      if (after !== undefined) await writePrivately(path, after)
    } finally {
      await rm(lock, {force: true})
    }
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).errno !== 'number') throw error
    throw new Failure('file_unwritable', `${path} cannot be written: ${wordsOf(error as NodeJS.ErrnoException)}.`, {
      hint: 'GPUCTL_CONFIG_DIR names another folder; GPUCTL_SERVER and GPUCTL_TOKEN need none.',
    })
  }
}

/** How long one may hold the lock: a lock that is older was left by a program that was killed. */
const lockMs = {stale: 5_000, most: 15_000, look: 10}

async function takeLock(lock: string): Promise<void> {
  const {open, rm, stat} = await import('node:fs/promises')
  const {setTimeout: delay} = await import('node:timers/promises')
  for (const startedAt = Date.now(); ; await delay(lockMs.look)) {
    try {
      return await (await open(lock, 'wx', 0o600)).close()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const madeAt = (await stat(lock).catch(() => undefined))?.mtimeMs ?? Date.now()
    if (Math.abs(Date.now() - madeAt) > lockMs.stale) await rm(lock, {force: true})
    if (Date.now() - startedAt > lockMs.most) {
      throw new Failure('file_locked', `${lock} stays there.`, {hint: 'Remove it, unless another gpuctl runs.'})
    }
  }
}

/** Removes the files beside this one that nobody wrote for so long. */
export async function removeOld(path: string, olderMs: number): Promise<void> {
  const {readdir, rm, stat} = await import('node:fs/promises')
  const folder = dirname(path)
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found?.isFile() && Date.now() - found.mtimeMs > olderMs) await rm(join(folder, name), {force: true})
  }
}
