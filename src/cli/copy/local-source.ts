import {createReadStream, type Stats} from 'node:fs'
import {lstat, readdir, readlink, stat} from 'node:fs/promises'
import {join} from 'node:path'
import type {TarEntry} from '../../contract/tar.ts'
import {Failure} from '../failure.ts'
import type {Entry} from './entry.ts'

const readBytes = 512 * 1024

/** A local file or folder as entries, named from `name` on. A link given by itself is followed, those in a folder are kept. */
export async function* readLocal(path: string, name: string): AsyncGenerator<Entry> {
  yield* walk(path, name, await stat(path))
}

/** All that `readLocal` will give, bytes. */
export async function countLocal(path: string): Promise<number> {
  const found = await stat(path)
  if (!found.isDirectory()) return found.size
  let total = 0
  for (const one of await readdir(path, {recursive: true, withFileTypes: true}))
    if (one.isFile()) total += (await lstat(join(one.parentPath, one.name))).size
  return total
}

async function* walk(path: string, name: string, found: Stats): AsyncGenerator<Entry> {
  if (found.isDirectory()) {
    yield {entry: entryOf(name, found, 'folder'), content: nothing()}
    for (const child of (await readdir(path)).sort()) {
      const at = join(path, child)
      yield* walk(at, `${name}/${child}`, await lstat(at))
    }
  } else if (found.isSymbolicLink()) {
    yield {entry: {...entryOf(name, found, 'link'), linkTarget: await readlink(path)}, content: nothing()}
  } else if (found.isFile()) {
    yield {entry: {...entryOf(name, found, 'file'), sizeBytes: found.size}, content: readExactly(path, found.size)}
  } // sockets, pipes and devices have no content to copy
}

/** As long as its head says, also when the file grows meanwhile. */
async function* readExactly(path: string, sizeBytes: number): AsyncGenerator<Buffer> {
  if (sizeBytes === 0) return
  let read = 0
  for await (const piece of createReadStream(path, {end: sizeBytes - 1, highWaterMark: readBytes})) {
    read += piece.length
    yield piece as Buffer
  }
  if (read < sizeBytes) throw new Failure('file_changed', `${path} became shorter while it was read.`)
}

function entryOf(path: string, {mode, uid, gid, mtimeMs}: Stats, kind: TarEntry['kind']): TarEntry {
  const owner = {uid: Math.max(0, uid), gid: Math.max(0, gid)}
  return {path, kind, sizeBytes: 0, mode: mode & 0o7777, ...owner, modifiedAtMs: mtimeMs, linkTarget: ''}
}

async function* nothing(): AsyncGenerator<Buffer> {}
