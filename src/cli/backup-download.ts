import {createHash} from 'node:crypto'
import {constants, createReadStream} from 'node:fs'
import {type FileHandle, lstat, open, rename, stat, unlink} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {ApiError, UnreachableError} from '../client/api-error.ts'
import type {Client} from '../client/client.ts'
import type {Backup} from '../contract/schemas/sites.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {bytes} from './output/figures.ts'

/** One cut after the other without a byte more: then the way is broken for good. */
const mostCuts = 8
const pauseMs = 1_000
/** Progress is told in steps of so many percent. */
const stepPercent = 5
const {O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_WRONLY} = constants

interface Download {
  client: Client
  backup: Backup
  signal: AbortSignal
  tell(text: string): void
}

/** `FILE`, or the backup's own name in a folder; and what it is called until all of it is there. */
export async function localPaths(backup: Backup, path = '.'): Promise<{file: string; part: string}> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false
  const file = isFolder ? join(path, backup.filename) : path
  // Of these very bytes: what is left of another backup is not gone on with.
  return {file, part: `${file}.${sumOf(backup).slice(0, 8)}.part`}
}

/** How much of it has come; 0 where there is nothing. */
export async function comeSoFar(part: string): Promise<number> {
  const found = await lstat(part).catch(() => undefined)
  return found?.isFile() ? found.size : 0
}

/** Goes on where an earlier call was cut. The file has its name only when its SHA-256 was found right. */
export async function downloadToFile(download: Download, {file, part}: {file: string; part: string}): Promise<void> {
  if (await lstat(file).catch(() => undefined)) {
    throw usageError(`${file} is there already.`, 'Give another name, or move it away.')
  }
  const {backup} = download
  const hash = createHash('sha256')
  const target = await open(part, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600).catch(inWords(part))
  try {
    let offset = (await target.stat()).size
    if (offset > backup.sizeBytes) {
      await target.truncate(0)
      offset = 0
    }
    if (offset > 0) for await (const piece of await readPart(part)) hash.update(piece)
    const write = async (piece: Buffer) => {
      hash.update(piece)
      await writeAll(target, piece).catch(inWords(part))
    }
    await receive(download, offset, write)
    await target.sync()
  } finally {
    await target.close()
    if ((await comeSoFar(part)) === 0) await unlink(part)
  }
  if (hash.digest('hex') !== backup.checksum) {
    await unlink(part)
    throw damaged(backup)
  }
  await rename(part, file)
}

/** To a stream, all of it in one call. Whether it was right is known at its end only. */
export async function downloadToStream(download: Download, write: (piece: Buffer) => Promise<void>): Promise<void> {
  const hash = createHash('sha256')
  await receive(download, 0, async piece => {
    hash.update(piece)
    await write(piece)
  })
  if (hash.digest('hex') !== download.backup.checksum) throw damaged(download.backup)
}

/** All bytes from the offset on, however often the way breaks. */
async function receive(
  {client, backup, signal, tell}: Download,
  from: number,
  write: (piece: Buffer) => Promise<void>,
): Promise<void> {
  const {id, filename, sizeBytes} = backup
  let offset = from
  for (let cuts = 0; offset < sizeBytes; ) {
    signal.throwIfAborted()
    try {
      for await (const piece of await client.download('backups.download', {id, offset}, {signal})) {
        await write(piece)
        offset += piece.length
        cuts = 0
        const percent = Math.floor((100 * offset) / sizeBytes)
        tell(`Downloading ${filename}: ${percent - (percent % stepPercent)} % of ${bytes(sizeBytes)}`)
      }
      if (offset < sizeBytes) throw new UnreachableError('', new Error('the answer ended early'))
    } catch (error) {
      if (signal.aborted || !isCut(error)) throw error
      if (++cuts > mostCuts) {
        const words = `The connection broke ${mostCuts} times; ${bytes(offset)} of ${bytes(sizeBytes)} have come.`
        throw new Failure('connection_lost', words, {
          exitCode: exitCode.unreachable,
          hint: 'Call it again: it goes on where it was.',
        })
      }
      await delay(pauseMs, undefined, {signal})
    }
  }
}

function isCut(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof ApiError && [408, 429, 502, 503].includes(error.status))
}

async function readPart(part: string): Promise<AsyncIterable<Buffer>> {
  const file = await open(part, O_RDONLY | O_NOFOLLOW)
  return createReadStream('', {fd: file, highWaterMark: 2 ** 20})
}

async function writeAll(file: FileHandle, piece: Buffer): Promise<void> {
  for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten
}

function sumOf({filename, checksum}: Backup): string {
  if (checksum !== null) return checksum
  throw new Failure('backup_foreign', `${filename} was not made here: only its node knows its content.`)
}

function damaged({filename, number}: Backup): Failure {
  return new Failure('checksum_differs', `${filename} did not come as it was written: its SHA-256 differs.`, {
    hint: `Look whether it lies there whole: gpuctl backup verify ${number} --wait.`,
  })
}

/** What a disk of this machine refused. */
function inWords(path: string): (error: NodeJS.ErrnoException) => never {
  return error => {
    const hint = 'What has come is kept: make room, and the same command goes on.'
    if (error.code === 'ENOSPC' || error.code === 'EDQUOT')
      throw new Failure('disk_full', `There is no room left for ${path}.`, {hint})
    throw usageError(`${path} cannot be written: ${error.message}`, 'Give another name.')
  }
}
