import {mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Candidate} from './candidates.ts'
import type {Kind} from './kinds.ts'

/** What decides which server is asked, and as whom. */
export interface Asked {
  env: NodeJS.ProcessEnv
  folder: string
  configDirectory: string
  server?: string
  context?: string
}

interface NamesFile {
  of: string
  names: Candidate[]
}

/** Names older than this are shown, and fetched again behind. */
const freshMs = 10_000
/** A name that a shell and a reader take for one word; others are left out, so that nothing needs quotes. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}$/
const mostNames = 500

/** The settings are compared as texts: reading YAML would cost more than the rest. No secret is in them. */
export function scopeOf({env, folder, configDirectory, server, context}: Asked): string {
  const {GPUCTL_SERVER, GPUCTL_CONTEXT, GPUCTL_TOKEN_FILE} = env
  const files = [join(folder, '.gpuctl.yml'), join(configDirectory, 'config.yml'), '/etc/gpuctl/config.yml'].map(textOf)
  return JSON.stringify([GPUCTL_SERVER, GPUCTL_CONTEXT, GPUCTL_TOKEN_FILE, server, context, ...files])
}

export function namesPath(cacheDirectory: string, scope: string, kind: Kind): string {
  return join(cacheDirectory, 'names', `${hashOf(scope)}-${kind}.json`)
}

/** What is known now; `isStale` when somebody should fetch, which is said once in ten seconds. */
export function readNames(path: string, scope: string, nowMs = Date.now()): {names: Candidate[]; isStale: boolean} {
  const names = namesIn(textOf(path), scope)
  const isStale = ageOf(path, nowMs) > freshMs && ageOf(`${path}.asked`, nowMs) > freshMs
  return {names, isStale}
}

export function markAsked(path: string): void {
  mkdirSync(join(path, '..'), {recursive: true, mode: 0o700})
  writeFileSync(`${path}.asked`, '', {mode: 0o600})
}

/** The text of a names file. */
export function encodeNames(scope: string, names: readonly Candidate[]): string {
  const plain = names.filter(({word}) => plainName.test(word)).slice(0, mostNames)
  return JSON.stringify({of: scope, names: plain} satisfies NamesFile)
}

function namesIn(text: string, scope: string): Candidate[] {
  try {
    const {of, names} = JSON.parse(text) as NamesFile
    return of === scope ? names.filter(({word}) => plainName.test(word)) : []
  } catch {
    return []
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function ageOf(path: string, nowMs: number): number {
  try {
    return nowMs - statSync(path).mtimeMs
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** FNV-1a: only a file's name, the scope itself stands in the file. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}
