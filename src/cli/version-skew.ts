import {join} from 'node:path'
import {exitCode} from './exit-codes.ts'
import {Failure} from './failure.ts'
import {cacheDirectory} from './places.ts'
import {readIfThere, writePrivately} from './private-file.ts'

const dayMs = 24 * 60 * 60_000

interface Versions {
  own: string
  server: string
}

/** How far two versions are from each other; a patch is nothing. What is no version is compared with nothing. */
export function skewOf({own, server}: Versions): 'none' | 'minor' | 'major' {
  const [ours, theirs] = [own, server].map(text => /^(\d{1,9})\.(\d{1,9})\./.exec(text))
  if (!ours || !theirs) return 'none'
  if (ours[1] !== theirs[1]) return 'major'
  return ours[2] === theirs[2] ? 'none' : 'minor'
}

export function incompatible({own, server}: Versions): Failure {
  return new Failure('version_incompatible', `The server has gpuctl ${server}, this is ${own}: they do not fit.`, {
    hint: `Install gpuctl ${server} here, or bring the server to ${own}. See both with \`gpuctl version\`.`,
    exitCode: exitCode.failure,
  })
}

/** What to tell a person of a server that is a minor version away; undefined when it was told within a day. */
export async function minorNotice({own, server}: Versions, url: string): Promise<string | undefined> {
  const path = join(cacheDirectory(), 'version-notices.json')
  const told = readTold(await readIfThere(path).catch(() => undefined))
  const now = Date.now()
  const last = told[url]
  if (last !== undefined && last <= now && now - last < dayMs) return undefined
  const recent = Object.entries(told).filter(([, at]) => at <= now && now - at < dayMs)
  await writePrivately(path, JSON.stringify({...Object.fromEntries(recent), [url]: now})).catch(() => undefined)
  return `The server has gpuctl ${server}, this is ${own}: bring the older of the two to the version of the other.`
}

/** Server → when it was told, ms. A file that is not as we write it is none. */
function readTold(text: string | undefined): Record<string, number> {
  try {
    const found: unknown = JSON.parse(text ?? '{}')
    return Object.fromEntries(Object.entries(found ?? {}).filter(([, at]) => typeof at === 'number'))
  } catch {
    return {}
  }
}
