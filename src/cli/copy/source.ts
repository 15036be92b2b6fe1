import {createReadStream, createWriteStream} from 'node:fs'
import {mkdtemp, rm, stat} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {basename, join, posix, resolve} from 'node:path'
import {pipeline} from 'node:stream/promises'
import type {Client} from '../../client/client.ts'
import {exitCode} from '../exit-codes.ts'
import {Failure, usageError} from '../failure.ts'
import {type Entry, renamed} from './entry.ts'
import {statFollowed} from './instance-path.ts'
import {countLocal, readLocal} from './local-source.ts'
import type {Place} from './place.ts'

/** What is copied. */
export interface Source {
  /** Its last name; undefined for our standard input. */
  name: string | undefined
  isFolder: boolean
  /** Where it is known before it is read. */
  totalBytes: number | undefined
  /** All of it, the topmost one under another name. Read once. */
  entries(name: string): AsyncIterable<Entry>
  close(): Promise<void>
}

interface Options {
  recursive: boolean
  signal: AbortSignal
}

export function openSource(client: Client, place: Place, options: Options): Promise<Source> {
  if (place.kind === 'stream') return openInput(options)
  return place.kind === 'local' ? openLocal(place.path, options) : openInstance(client, place, options)
}

async function openLocal(path: string, {recursive}: Options): Promise<Source> {
  const found = await stat(path).catch(error => {
    throw new Failure('path_missing', `${path} cannot be read: ${(error as Error).message}`, {
      exitCode: exitCode.notFound,
    })
  })
  const isFolder = found.isDirectory()
  if (isFolder && !recursive) throw isAFolder(path)
  return {
    name: basename(resolve(path)),
    isFolder,
    totalBytes: await countLocal(path),
    entries: name => readLocal(path, name),
    close: async () => {},
  }
}

async function openInstance(
  client: Client,
  {instance, path}: {instance: string; path: string},
  {recursive, signal}: Options,
): Promise<Source> {
  const found = await statFollowed(client, instance, path)
  if (!found) throw new Failure('path_missing', `There is no ${path} in ${instance}.`, {exitCode: exitCode.notFound})
  const isFolder = found.stat.kind === 'folder'
  if (isFolder && !recursive) throw isAFolder(`${instance}:${path}`)
  const {content} = await client.archive({id: instance, path: found.path}, {signal})
  return {
    name: posix.basename(posix.resolve(path)) || instance,
    isFolder,
    totalBytes: isFolder ? undefined : found.stat.sizeBytes,
    entries: name => renamed(content, name),
    close: async () => {},
  }
}

/** Our standard input as one file. It is kept in a private file first, since an archive tells the size of a file before it. */
async function openInput({recursive}: Options): Promise<Source> {
  if (recursive) throw usageError('Standard input is one file.', 'Leave out -r, or name a folder.')
  if (process.stdin.isTTY) throw usageError('Standard input is the terminal.', 'Send a file into it: gpuctl … < FILE.')
  const folder = await mkdtemp(join(tmpdir(), 'gpuctl-input-'))
  const path = join(folder, 'input')
  const close = () => rm(folder, {recursive: true, force: true})
  try {
    await pipeline(process.stdin, createWriteStream(path, {mode: 0o600, flags: 'wx'}))
  } catch (error) {
    await close()
    throw error
  }
  const {size} = await stat(path)
  const head = {kind: 'file', sizeBytes: size, mode: 0o644, uid: 0, gid: 0, linkTarget: ''} as const
  return {
    name: undefined,
    isFolder: false,
    totalBytes: size,
    async *entries(name) {
      yield {entry: {...head, path: name, modifiedAtMs: Date.now()}, content: createReadStream(path)}
    },
    close,
  }
}

function isAFolder(what: string): Failure {
  return usageError(`${what} is a folder.`, 'Copy it with -r.')
}
