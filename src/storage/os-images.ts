import {createHash, type Hash} from 'node:crypto'
import {createReadStream} from 'node:fs'
import {constants, type FileHandle, lstat, mkdir, open, readdir, rename, rm, statfs} from 'node:fs/promises'
import {join} from 'node:path'
import type {FoundOsImage, OsImagePart} from '../contract/storage-protocol.ts'
import {StorageError} from './driver.ts'
import {fileName} from './grammar.ts'

/** So much stays free on the file system whatever is uploaded. */
const reserveBytes = 1024 ** 3
/** Uploads that were begun and not ended, of one folder. */
const mostParts = 32
const partName = /^\.([A-Za-z0-9][A-Za-z0-9._-]{0,127})\.(\d{1,16})\.([0-9a-f]{64})\.part$/

/**
 * Files of operating systems in one folder of this machine. An upload grows under a name of its own, which says how much
 * is to come, and gets its name when all is there and its SHA-256 is right: no half file is ever taken for a whole one.
 */
export class OsImages {
  readonly #folder: () => Promise<string>
  readonly #busy = new Set<string>()
  /** Of what has come so far, by path: the last piece then needs no second look at all the others. */
  readonly #sums = new Map<string, Sum>()

  /** The folder is asked for each time, since what the machine is may change while we run. */
  constructor({folder}: {folder: () => Promise<string>}) {
    this.#folder = folder
  }

  folder(): Promise<string> {
    return this.#folder()
  }

  async list(): Promise<FoundOsImage[]> {
    const folder = await this.#folder()
    const names = await readdir(folder).catch(() => [])
    const found = await Promise.all(
      names.sort().map(async (name): Promise<FoundOsImage[]> => {
        const [, ofName, total, sha256 = ''] = partName.exec(name) ?? []
        if (!ofName && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name)) return []
        const stat = await lstat(join(folder, name)).catch(() => undefined)
        if (!stat?.isFile()) return []
        const sizeBytes = stat.size
        const updatedAt = stat.mtime.toISOString()
        return [{name: ofName ?? name, sizeBytes, totalBytes: ofName ? Number(total) : sizeBytes, sha256, updatedAt}]
      }),
    )
    return found.flat()
  }

  /** Whole files only. Throws not_found. */
  async path(name: string): Promise<string> {
    const path = join(await this.#folder(), fileName(name))
    const stat = await lstat(path).catch(() => undefined)
    if (!stat?.isFile()) throw new StorageError('not_found', `There is no file ${name}.`)
    return path
  }

  /** The file, or what has come of it so far. Throws not_found. */
  async delete(name: string): Promise<void> {
    if (this.#busy.has(fileName(name))) throw new StorageError('in_use', `${name} is being uploaded.`)
    const folder = await this.#folder()
    const names = await readdir(folder).catch(() => [])
    const own = names.filter(one => one === name || partName.exec(one)?.[1] === name)
    if (own.length === 0) throw new StorageError('not_found', `There is no file ${name}.`)
    for (const one of own) {
      this.#sums.delete(join(folder, one))
      await rm(join(folder, one), {force: true})
    }
  }

  /**
   * Writes what comes behind what is there. Resolves with what is there then. Throws `exists` when the file is there
   * already or somebody else writes it, `invalid` for another offset or a wrong checksum, `full`.
   */
  async receive(part: OsImagePart, content: AsyncIterable<Uint8Array>): Promise<FoundOsImage> {
    const {name, totalBytes} = checked(part)
    if (this.#busy.has(name)) throw new StorageError('exists', `${name} is being uploaded already.`)
    this.#busy.add(name)
    try {
      const folder = await this.#folder()
      await mkdir(folder, {recursive: true, mode: 0o755})
      await this.#refuse(folder, part)
      const path = join(folder, `.${name}.${totalBytes}.${part.sha256}.part`)
      const sum = await this.#sumOf(path, part.offset)
      const sizeBytes = await append(path, part, content, sum)
      if (sizeBytes === totalBytes) await this.#finish({path, target: join(folder, name)}, part, sum)
      else this.#sums.set(path, sum)
      const sha256 = sizeBytes === totalBytes ? '' : part.sha256
      return {name, sizeBytes, totalBytes, sha256, updatedAt: new Date().toISOString()}
    } finally {
      this.#busy.delete(name)
    }
  }

  async #refuse(folder: string, {name, offset, totalBytes}: OsImagePart): Promise<void> {
    const there = await lstat(join(folder, name)).catch(() => undefined)
    if (there) throw new StorageError('exists', `There is already a file ${name}.`)
    const {bavail, bsize} = await statfs(folder)
    const roomBytes = Math.max(0, bavail * bsize - reserveBytes)
    if (totalBytes - offset > roomBytes) {
      const words = `${totalBytes - offset} bytes are to come, and there is room for ${roomBytes}.`
      throw new StorageError('full', words)
    }
    const parts = (await readdir(folder)).filter(one => partName.test(one))
    // Another upload of this name is over: what it has brought is of no use to this one.
    for (const one of parts) {
      const [, ofName, total] = partName.exec(one) ?? []
      if (ofName !== name || (Number(total) === totalBytes && offset > 0)) continue
      this.#sums.delete(join(folder, one))
      await rm(join(folder, one), {force: true})
    }
    if (parts.length >= mostParts && offset === 0) {
      throw new StorageError('full', `${mostParts} uploads were begun and not ended; end or delete one first.`)
    }
  }

  async #sumOf(path: string, offset: number): Promise<Sum> {
    const known = this.#sums.get(path)
    this.#sums.delete(path)
    if (known?.bytes === offset) return known
    const sum = {hash: createHash('sha256'), bytes: 0}
    if (offset === 0) return sum
    const {size = 0} = (await lstat(path).catch(() => undefined)) ?? {}
    if (size !== offset) return sum // refused below
    for await (const piece of createReadStream(path)) add(sum, piece as Buffer)
    return sum
  }

  async #finish(place: {path: string; target: string}, {name, sha256}: OsImagePart, {hash}: Sum): Promise<void> {
    if (hash.digest('hex') !== sha256) {
      await rm(place.path, {force: true})
      throw new StorageError('invalid', `What came of ${name} has another SHA-256; nothing of it was kept.`)
    }
    await rename(place.path, place.target)
  }
}

/** Hash of so many first bytes. */
interface Sum {
  hash: Hash
  bytes: number
}

function add(sum: Sum, piece: Uint8Array): void {
  sum.hash.update(piece)
  sum.bytes += piece.length
}

/** Appends from the offset on; what is beyond the announced size is refused. Resolves with the size, whatever was cut. */
async function append(path: string, part: OsImagePart, content: AsyncIterable<Uint8Array>, sum: Sum): Promise<number> {
  const {O_CREAT, O_WRONLY, O_NOFOLLOW} = constants
  const file = await open(path, O_CREAT | O_WRONLY | O_NOFOLLOW, 0o644)
  try {
    const {size} = await file.stat()
    if (size !== part.offset) {
      throw new StorageError('invalid', `${size} bytes of ${part.name} are here; go on from there.`)
    }
    let at = size
    for await (const piece of content) {
      if (at + piece.length > part.totalBytes) {
        throw new StorageError('invalid', `More came of ${part.name} than the announced ${part.totalBytes} bytes.`)
      }
      at = await writeAll(file, piece, at)
      add(sum, piece)
    }
    await file.sync()
    return at
  } catch (error) {
    const {code, message} = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new StorageError('full', message, {cause: error})
    throw error
  } finally {
    await file.close()
  }
}

async function writeAll(file: FileHandle, piece: Uint8Array, at: number): Promise<number> {
  let written = 0
  while (written < piece.length) {
    written += (await file.write(piece, written, piece.length - written, at + written)).bytesWritten
  }
  return at + written
}

function checked(part: OsImagePart): OsImagePart {
  const {name, offset, totalBytes, sha256} = part
  fileName(name)
  const isSize = Number.isSafeInteger(totalBytes) && totalBytes > 0
  if (!isSize || !Number.isSafeInteger(offset) || offset < 0 || offset > totalBytes) {
    throw new StorageError('invalid', 'An upload needs its size and where it goes on.')
  }
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new StorageError('invalid', 'An upload needs its SHA-256 in hex.')
  return part
}
