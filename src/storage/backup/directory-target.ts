import {constants, createReadStream, createWriteStream} from 'node:fs'
import {lstat, open, realpath, rename, unlink} from 'node:fs/promises'
import {join} from 'node:path'
import {pipeline} from 'node:stream/promises'
import {syncDirectory} from '../../platform/files.ts'
import {StorageError} from '../driver.ts'
import {backupName, folderPath} from '../grammar.ts'
import {orTakenBack} from '../taking-back.ts'
import type {BackupTarget, WriteOptions} from './target.ts'

const {O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY} = constants

/** A folder of this node, which must be there: a disk that is not mounted must not be filled beside it. */
export class DirectoryTarget implements BackupTarget {
  readonly #path: string

  constructor(path: string) {
    this.#path = folderPath(path)
  }

  async write(name: string, content: AsyncIterable<Buffer>, {signal}: WriteOptions): Promise<void> {
    const {final, partial} = await this.#paths(name)
    if ((await sizeOf(final)) !== null) throw new StorageError('exists', `${final} is there already.`)
    await removeFile(partial)
    const work = async () => {
      try {
        const file = await open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        await pipeline(content, createWriteStream('', {fd: file, flush: true}), {signal})
        await rename(partial, final)
        await syncDirectory(this.#path)
      } catch (error) {
        throw inWords(error, final)
      }
    }
    await orTakenBack(work, {
      undo: () => removeFile(partial),
      left: `What was written is left in ${partial}. Remove it.`,
    })
  }

  async *read(name: string, {from = 0, signal}: {from?: number; signal: AbortSignal}): AsyncGenerator<Uint8Array> {
    const {final} = await this.#paths(name)
    try {
      const file = await open(final, O_RDONLY | O_NOFOLLOW)
      yield* createReadStream('', {fd: file, start: from, signal, highWaterMark: 1024 * 1024})
    } catch (error) {
      signal.throwIfAborted()
      throw inWords(error, final)
    }
  }

  async size(name: string): Promise<number | null> {
    return sizeOf((await this.#paths(name)).final)
  }

  async remove(name: string): Promise<void> {
    const {final, partial} = await this.#paths(name)
    await removeFile(partial)
    await removeFile(final)
  }

  async #paths(name: string): Promise<{final: string; partial: string}> {
    backupName(name)
    let folder: string
    try {
      folder = await realpath(this.#path)
    } catch (error) {
      throw inWords(error, this.#path)
    }
    return {final: join(folder, name), partial: join(folder, `.${name}.partial`)}
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    const stat = await lstat(path)
    if (!stat.isFile()) throw new StorageError('exists', `${path} is there, and is no file.`)
    return stat.size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch(error => {
    if (error.code !== 'ENOENT') throw inWords(error, path)
  })
}

function inWords(error: unknown, path: string): unknown {
  const {code} = error as NodeJS.ErrnoException
  if (error instanceof StorageError) return error
  if (code === 'ENOSPC' || code === 'EDQUOT') return new StorageError('full', `${path} has no room left.`)
  if (code === 'ENOENT') return new StorageError('not_found', `${path} is not there.`)
  if (code === 'ELOOP') return new StorageError('invalid', `${path} is a link; it is not followed.`)
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error
  return new StorageError('failed', `${path}: ${(error as Error).message}`, {cause: error})
}
