import {encodeTarHead, readTar, type TarEntry, tarEnd, tarPadding} from '../../contract/tar.ts'

/** One file, folder or link on its way. Its content is read before the next one is asked for. */
export interface Entry {
  entry: TarEntry
  content: AsyncIterable<Buffer>
}

/** A tar's entries with another name for the topmost one. */
export async function* renamed(tar: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Entry> {
  for await (const {entry, content} of readTar(tar)) {
    const rename = (path: string) => [name, ...path.split('/').slice(1)].join('/')
    const linkTarget = entry.kind === 'hardLink' ? rename(entry.linkTarget) : entry.linkTarget
    yield {entry: {...entry, path: rename(entry.path), linkTarget}, content}
  }
}

/** Entries as a tar. */
export async function* encodeEntries(entries: AsyncIterable<Entry>): AsyncGenerator<Uint8Array> {
  for await (const {entry, content} of entries) {
    yield encodeTarHead(entry)
    yield* content
    yield tarPadding(entry.sizeBytes)
  }
  yield tarEnd
}
