import {posix} from 'node:path'
import {Readable} from 'node:stream'
import type {PathStat} from '../contract/schemas/instances.ts'
import {encodeTarHead, readTar, type TarEntry, TarError, tarEnd, tarPadding} from '../contract/tar.ts'
import {RuntimeError} from './driver.ts'

export interface FakeFile {
  entry: TarEntry
  content: Buffer
}

type Files = Map<string, FakeFile>

/** All that a simulated container keeps. */
const maxBytes = 64 * 1024 * 1024
const standing = new Set(['/', '/tmp'])

export function statFake(files: Files, path: string): PathStat {
  const {entry, content} = look(files, path)
  const {kind, mode, modifiedAtMs, linkTarget} = entry
  return {
    name: posix.basename(absolute(path)) || '/',
    kind: kind === 'hardLink' ? 'file' : kind,
    sizeBytes: content.length,
    mode,
    modifiedAt: new Date(modifiedAtMs).toISOString(),
    linkTarget,
  }
}

export function packFake(files: Files, path: string): {stat: PathStat; content: Readable} {
  const stat = statFake(files, path)
  const root = absolute(path)
  const under = [...files.keys()].filter(one => one.startsWith(`${root === '/' ? '' : root}/`)).sort()
  const blocks = [root, ...under].flatMap(one => {
    const {entry, content} = look(files, one)
    const name = posix.join(stat.name, posix.relative(root, one)).replace(/^\/(?=.)/, '')
    return [encodeTarHead({...entry, path: name}), content, tarPadding(content.length)]
  })
  return {stat, content: Readable.from([...blocks, tarEnd], {objectMode: false})}
}

export async function unpackFake(files: Files, path: string, content: Readable): Promise<void> {
  if (statFake(files, path).kind !== 'folder') throw new RuntimeError('path_refused', 'It is not a folder.')
  let used = [...files.values()].reduce((sum, file) => sum + file.content.length, 0)
  try {
    for await (const {entry, content: bytes} of readTar(content)) {
      used += entry.sizeBytes
      if (used > maxBytes) throw new RuntimeError('path_refused', `A simulated container holds ${maxBytes} bytes.`)
      const pieces: Buffer[] = []
      for await (const piece of bytes) pieces.push(piece)
      files.set(posix.join(absolute(path), absolute(entry.path)), {entry, content: Buffer.concat(pieces)})
    }
  } catch (error) {
    if (error instanceof TarError) throw new RuntimeError('path_refused', error.message, {cause: error})
    throw error
  }
}

function look(files: Files, path: string): FakeFile {
  const found = files.get(absolute(path))
  if (found) return found
  if (!standing.has(absolute(path))) throw new RuntimeError('no_path', `There is no ${path} in the container.`)
  const entry: TarEntry = {
    ...{path, kind: 'folder', sizeBytes: 0, mode: 0o755, uid: 0, gid: 0, modifiedAtMs: 0, linkTarget: ''},
  }
  return {entry, content: Buffer.alloc(0)}
}

/** Without `..`, trailing slash and the like. */
function absolute(path: string): string {
  return posix.normalize(`/${path}`).replace(/(.)\/+$/, '$1')
}
