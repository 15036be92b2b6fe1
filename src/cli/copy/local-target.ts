import {randomBytes} from 'node:crypto'
import {chmod, chown, link, lstat, lutimes, mkdir, open, rename, rm, symlink, utimes} from 'node:fs/promises'
import {dirname, isAbsolute, join, posix, relative, sep} from 'node:path'
import type {TarEntry} from '../../contract/tar.ts'
import {Failure} from '../failure.ts'
import type {Entry} from './entry.ts'

/**
 * Writes entries below a local folder. What came from an instance is not trusted: no name, link or folder of it leads
 * out of `top`, the first name of all entries (security: an archive that escapes). A file is there whole or not at all.
 */
export class LocalTarget {
  readonly #folder: string
  readonly #isRoot = process.getuid?.() === 0
  /** Folders are given their modes last, since one may be read-only. */
  readonly #folders: {path: string; entry: TarEntry}[] = []
  /** Folders that were seen to be real ones. */
  readonly #checked = new Set<string>()
  /** Names of what is no file, folder or link. */
  readonly skipped: string[] = []

  constructor(folder: string) {
    this.#folder = folder
  }

  async write(entries: AsyncIterable<Entry>): Promise<void> {
    for await (const one of entries) await this.#writeOne(one)
    for (const {path, entry} of this.#folders.reverse()) await this.#dress(path, entry)
  }

  async #writeOne({entry, content}: Entry): Promise<void> {
    const path = this.#inside(entry.path)
    await this.#checkParents(path)
    if (entry.kind === 'folder') await this.#makeFolder(path, entry)
    else if (entry.kind === 'file') await this.#makeFile(path, entry, content)
    else if (entry.kind === 'link') await this.#makeLink(path, entry)
    else if (entry.kind === 'hardLink') await this.#replace(path, at => link(this.#inside(entry.linkTarget), at))
    else this.skipped.push(entry.path)
  }

  /** Throws Failure for a name that leads elsewhere. */
  #inside(name: string): string {
    const parts = name.split('/')
    const isPlain = parts.every(part => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'))
    if (isPlain && !isAbsolute(name) && (sep === '/' || !name.includes(sep))) return join(this.#folder, ...parts)
    throw new Failure(
      'path_escapes',
      `The archive names ${name}, which leads out of the target: nothing more is taken.`,
    )
  }

  async #checkParents(path: string): Promise<void> {
    const folder = dirname(path)
    if (folder === this.#folder || this.#checked.has(folder) || folder.length <= this.#folder.length) return
    await this.#checkParents(folder)
    const found = await lstat(folder).catch(() => undefined)
    if (!found) await mkdir(folder)
    else if (!found.isDirectory())
      throw new Failure('path_escapes', `${folder} is no folder: nothing is written behind it.`)
    this.#checked.add(folder)
  }

  async #makeFolder(path: string, entry: TarEntry): Promise<void> {
    const found = await lstat(path).catch(() => undefined)
    if (found && !found.isDirectory()) throw new Failure('not_a_folder', `${path} is in the way: it is no folder.`)
    if (!found) await mkdir(path, {mode: 0o700})
    this.#checked.add(path)
    this.#folders.push({path, entry})
  }

  async #makeFile(path: string, entry: TarEntry, content: Entry['content']): Promise<void> {
    await this.#replace(path, async temporary => {
      const file = await open(temporary, 'wx', 0o600)
      try {
        for await (const piece of content) await file.write(piece)
      } finally {
        await file.close()
      }
      await this.#dress(temporary, entry)
    })
  }

  async #makeLink(path: string, {path: name, linkTarget, modifiedAtMs}: TarEntry): Promise<void> {
    const top = name.split('/')[0] as string
    const leadsTo = posix.relative(top, posix.join(posix.dirname(name), linkTarget))
    if (posix.isAbsolute(linkTarget) || leadsTo === '..' || leadsTo.startsWith('../')) {
      throw new Failure(
        'path_escapes',
        `The link ${name} leads to ${linkTarget}, out of what is copied: it is refused.`,
      )
    }
    await this.#replace(path, async temporary => {
      await symlink(linkTarget, temporary)
      await lutimes(temporary, modifiedAtMs / 1000, modifiedAtMs / 1000)
    })
  }

  /** Makes it beside its place and moves it there: a link that stands there is replaced, not followed. */
  async #replace(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
    const temporary = join(dirname(path), `.gpuctl-${randomBytes(6).toString('hex')}`)
    try {
      await make(temporary)
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, {force: true})
      if ((error as NodeJS.ErrnoException).code !== 'EISDIR') throw error
      throw new Failure('is_a_folder', `${relative('.', path)} is a folder: no file takes its place.`)
    }
  }

  /** As tar does: owners and setuid only for root. */
  async #dress(path: string, {mode, uid, gid, modifiedAtMs}: TarEntry): Promise<void> {
    if (this.#isRoot) await chown(path, uid, gid)
    await chmod(path, this.#isRoot ? mode : mode & 0o777)
    await utimes(path, modifiedAtMs / 1000, modifiedAtMs / 1000)
  }
}
