import {existsSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'

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

/** Writes a file that only its owner reads (0600 in a 0700 folder), whole or not at all. */
export async function writePrivately(path: string, text: string): Promise<void> {
  const {randomBytes} = await import('node:crypto')
  const {chmod, mkdir, open, rename, rm} = await import('node:fs/promises')
  const folder = dirname(path)
  await mkdir(folder, {recursive: true, mode: 0o700})
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

/** Removes the files beside this one that nobody wrote for so long. */
export async function removeOld(path: string, olderMs: number): Promise<void> {
  const {readdir, rm, stat} = await import('node:fs/promises')
  const folder = dirname(path)
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found?.isFile() && Date.now() - found.mtimeMs > olderMs) await rm(join(folder, name), {force: true})
  }
}
