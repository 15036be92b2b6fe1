import {Readable} from 'node:stream'
import {encodeTarHead, readTar, type TarEntry, tarEnd, tarPadding} from '../../src/contract/tar.ts'

/** A file, folder or link for `tarOf`; mode 0644 or 0755, owner 0:0, 2026-01-01. */
export function tarFile(path: string, content = '', more: Partial<TarEntry> = {}): {entry: TarEntry; content: Buffer} {
  const bytes = Buffer.from(content)
  const mode = more.kind === 'folder' ? 0o755 : 0o644
  const entry: TarEntry = {
    ...{path, kind: 'file', sizeBytes: bytes.length, mode, uid: 0, gid: 0, linkTarget: ''},
    ...{modifiedAtMs: Date.UTC(2026, 0, 1), ...more},
  }
  return {entry, content: bytes}
}

export function tarOf(...files: ReturnType<typeof tarFile>[]): Readable {
  const blocks = files.flatMap(({entry, content}) => [encodeTarHead(entry), content, tarPadding(content.length)])
  return Readable.from([...blocks, tarEnd], {objectMode: false})
}

/** All entries with their content as text. */
export async function unpacked(tar: AsyncIterable<Uint8Array>): Promise<(TarEntry & {text: string})[]> {
  const found: (TarEntry & {text: string})[] = []
  for await (const {entry, content} of readTar(tar)) {
    const pieces: Buffer[] = []
    for await (const piece of content) pieces.push(piece)
    found.push({...entry, text: Buffer.concat(pieces).toString()})
  }
  return found
}
