import type {IncomingMessage} from 'node:http'
import type {Readable} from 'node:stream'
import type {PathStat} from '../contract/schemas/instances.ts'
import type {DockerEngine} from './docker-engine.ts'
import {engineStatus} from './docker-errors.ts'
import {RuntimeError} from './driver.ts'

/** What the engine tells of a path in the header X-Docker-Container-Path-Stat: base64 of JSON, the mode as Go's os.FileMode. */
interface EngineStat {
  name: string
  size: number
  mode: number
  mtime: string
  linkTarget: string
}

const goMode = {folder: 2 ** 31, link: 2 ** 27}
/** Go's bit → that of chmod. */
const special: [number, number][] = [
  [2 ** 23, 0o4000],
  [2 ** 22, 0o2000],
  [2 ** 20, 0o1000],
]

/** Every path is resolved by the engine inside the container's own root: neither `..` nor a link leads out of it. */
export async function statPath(engine: DockerEngine, containerId: string, path: string): Promise<PathStat> {
  const request = {method: 'HEAD', path: `/containers/${containerId}/archive`, query: {path: absolute(path)}} as const
  const answer = await missing(path, engine.stream('Looking at a path', request, new AbortController().signal))
  answer.resume()
  return readStat(answer as IncomingMessage)
}

export async function readArchive(
  engine: DockerEngine,
  containerId: string,
  path: string,
  signal: AbortSignal,
): Promise<{stat: PathStat; content: Readable}> {
  const request = {path: `/containers/${containerId}/archive`, query: {path: absolute(path)}, limitMs: 60_000}
  const content = await missing(path, engine.stream('Reading files', request, signal))
  return {stat: readStat(content as IncomingMessage), content}
}

export async function writeArchive(
  engine: DockerEngine,
  containerId: string,
  path: string,
  content: Readable,
): Promise<void> {
  const query = {path: absolute(path), noOverwriteDirNonDir: true}
  try {
    await missing(path, engine.upload('Writing files', {path: `/containers/${containerId}/archive`, query}, content))
  } catch (error) {
    const {cause} = error as RuntimeError
    const status = engineStatus(cause)
    if (status !== 400 && status !== 403 && !/not a directory|overwrite|read-only|tar/i.test(String(error))) throw error
    throw new RuntimeError('path_refused', (error as Error).message, {cause})
  }
}

/** A 404 means the path: the container was looked at before. */
async function missing<T>(path: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const {cause} = error as RuntimeError
    if (engineStatus(cause) !== 404) throw error
    throw new RuntimeError('no_path', `There is no ${path} in the container.`, {cause})
  }
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`
}

function readStat({headers}: IncomingMessage): PathStat {
  const text = Buffer.from(String(headers['x-docker-container-path-stat']), 'base64').toString()
  const {name, size, mode, mtime, linkTarget} = JSON.parse(text) as EngineStat
  const has = (bits: number) => Math.floor(mode / bits) % 2 === 1
  const isIrregular = [26, 25, 24, 21, 19].some(bit => has(2 ** bit))
  return {
    name,
    kind: has(goMode.folder) ? 'folder' : has(goMode.link) ? 'link' : isIrregular ? 'other' : 'file',
    sizeBytes: Math.max(0, size),
    mode: (mode % 0o1000) + special.reduce((sum, [bit, ours]) => sum + (has(bit) ? ours : 0), 0),
    modifiedAt: new Date(mtime).toISOString(),
    linkTarget,
  }
}
