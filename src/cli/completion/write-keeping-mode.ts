import {mkdir, realpath, rename, rm, stat, writeFile} from 'node:fs/promises'
import {dirname} from 'node:path'

/** Replaces a file at once with its old permissions; one that is a link (a start-up file often is) stays a link. */
export async function writeKeepingMode(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), {recursive: true})
  const target = await realpath(path).catch(() => path)
  const mode = await stat(target).then(
    found => found.mode & 0o777,
    () => 0o644,
  )
  const temporary = `${target}.gpuctl-${process.pid}`
  try {
    await writeFile(temporary, text, {mode, flag: 'wx'})
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, {force: true})
    throw error
  }
}
