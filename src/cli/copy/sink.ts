import {stat} from 'node:fs/promises'
import {basename, dirname, join, posix, resolve} from 'node:path'
import type {Client} from '../../client/client.ts'
import {exitCode} from '../exit-codes.ts'
import {Failure, usageError} from '../failure.ts'
import {write} from '../output/machine.ts'
import {type Entry, encodeEntries, renamed} from './entry.ts'
import {statFollowed} from './instance-path.ts'
import {readLocal} from './local-source.ts'
import {LocalTarget} from './local-target.ts'
import type {Place} from './place.ts'
import type {Source} from './source.ts'
import {upload} from './upload.ts'

/** Where a copy goes. */
export interface Sink {
  /** Of the topmost entry. */
  name: string
  /** Resolves when all is there, with the names of what was left out. */
  take(entries: AsyncIterable<Entry>): Promise<string[]>
  /** What is there now; absent for our standard output. */
  readBack?: () => AsyncIterable<Entry>
}

/** Into a folder that is there, else under a new name beside its siblings. Throws Failure when there is no place. */
export function openSink(client: Client, place: Place, source: Source): Promise<Sink> {
  if (place.kind === 'stream') return openOutput(source)
  return place.kind === 'local' ? openLocal(place.path, source) : openInstance(client, place, source)
}

async function openLocal(path: string, source: Source): Promise<Sink> {
  const isFolder = (at: string) =>
    stat(at).then(
      found => found.isDirectory(),
      () => false,
    )
  const intoIt = await isFolder(path)
  if (!intoIt && (path.endsWith('/') || !(await isFolder(dirname(resolve(path)))))) {
    throw noFolder(path.endsWith('/') ? path : dirname(path))
  }
  const folder = intoIt ? resolve(path) : dirname(resolve(path))
  const name = intoIt ? nameOf(source, path) : basename(resolve(path))
  return {
    name,
    async take(entries) {
      const target = new LocalTarget(folder)
      await target.write(entries)
      return target.skipped
    },
    readBack: () => readLocal(join(folder, name), name),
  }
}

async function openInstance(
  client: Client,
  {instance, path}: {instance: string; path: string},
  source: Source,
): Promise<Sink> {
  const found = await statFollowed(client, instance, path)
  if (!found && path.endsWith('/')) throw noFolder(path)
  const intoIt = found?.stat.kind === 'folder'
  const at = found?.path ?? path
  const folder = intoIt ? at : posix.dirname(at)
  const name = intoIt ? nameOf(source, path) : posix.basename(at)
  return {
    name,
    async take(entries) {
      await upload(client, {instance, folder}, encodeEntries(entries))
      return []
    },
    async *readBack() {
      const {content} = await client.archive({id: instance, path: posix.join(folder, name)})
      yield* renamed(content, name)
    },
  }
}

/** A file as it is, a folder as tar. */
async function openOutput(source: Source): Promise<Sink> {
  if (process.stdout.isTTY)
    throw usageError('Standard output is the terminal.', 'Send it into a file: gpuctl … > FILE.')
  return {
    name: source.name ?? 'input',
    async take(entries) {
      const pieces = source.isFolder ? encodeEntries(entries) : contentOf(entries)
      for await (const piece of pieces) await write(process.stdout, piece)
      return []
    },
  }
}

async function* contentOf(entries: AsyncIterable<Entry>): AsyncGenerator<Uint8Array> {
  for await (const {content} of entries) yield* content
}

function nameOf({name}: Source, folder: string): string {
  if (name === undefined) throw usageError(`${folder} is a folder.`, 'Say under which name: FOLDER/NAME.')
  return name
}

function noFolder(path: string): Failure {
  return new Failure('path_missing', `There is no folder ${path}.`, {exitCode: exitCode.notFound})
}
