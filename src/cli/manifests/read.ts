import {readdir, readFile, stat} from 'node:fs/promises'
import {join} from 'node:path'
import type {Document, LineCounter} from 'yaml'
import type {ManifestKind, Manifests} from '../../contract/schemas/manifests.ts'
import {exitCode} from '../exit-codes.ts'
import {Failure, usageError} from '../failure.ts'
import {readStdin} from '../prompt.ts'
import {loadYaml} from '../yaml.ts'
import {faultsOf, type Schema} from './check.ts'
import schema from './schema.json' with {type: 'json'}

export type Manifest = {[K in ManifestKind]: Manifests[K]}[ManifestKind]

/** What one document of a file wants, and where it stands. */
export interface Wanted {
  manifest: Manifest
  /** `spec/small`; two documents never mean one thing. */
  name: string
  /** `file.yml:12`. */
  place: string
}

/** In the order in which they are made: what comes later may need what came before. */
export const manifestKinds = ['spec', 'image', 'quota', 'pool', 'instance', 'claim'] as const satisfies ManifestKind[]
const most = {bytes: 1024 * 1024, files: 256, documents: 5_000}
const schemas = new Map(schema.oneOf.map(one => [one.properties.kind.const, one as unknown as Schema]))

/** All documents of files, folders (their .yml, .yaml and .json files) and `-`; one error that names all that is wrong. */
export async function readManifests(paths: readonly string[]): Promise<Wanted[]> {
  const files = (await Promise.all(paths.map(filesOf))).flat()
  if (files.length > most.files) throw usageError(`These are ${files.length} files.`, `At most ${most.files} at once.`)
  const wanted: Wanted[] = []
  const problems: string[] = []
  for (const file of files) {
    const text = file === '-' ? await readStdin() : await readText(file)
    const found = await readDocuments(file === '-' ? 'stdin' : file, text)
    wanted.push(...found.wanted)
    problems.push(...found.problems)
  }
  const places = new Map<string, string>()
  for (const {name, place} of wanted) {
    const first = places.get(name)
    if (first) problems.push(`${place}: ${name} is described at ${first} already`)
    places.set(name, first ?? place)
  }
  if (wanted.length > most.documents) throw usageError(`More than ${most.documents} documents are too many.`)
  if (problems.length > 0) {
    const hint = 'Correct it. `gpuctl apply --schema` prints the schema, with which editors check as you type.'
    throw new Failure('manifest_invalid', problems.join('\n'), {hint, exitCode: exitCode.usage, details: {problems}})
  }
  if (wanted.length === 0) throw usageError('There is nothing to apply in these files.')
  return wanted.sort((a, b) => orderOf(a) - orderOf(b))
}

/** `spec/small`, `quota/ada`, `pool/gpu-03/tank`: a pool's name is its node's own. */
export function nameOf(manifest: Manifest): string {
  if (manifest.kind === 'quota') return `quota/${manifest.user}`
  if (manifest.kind === 'pool') return `pool/${manifest.node}/${manifest.name}`
  return `${manifest.kind}/${manifest.name}`
}

function orderOf({manifest}: Wanted): number {
  return manifestKinds.indexOf(manifest.kind)
}

async function filesOf(path: string): Promise<string[]> {
  if (path === '-') return [path]
  const found = await stat(path).catch(() => undefined)
  if (!found) throw usageError(`There is no file ${path}.`, 'Give a file, a folder, or - for standard input.')
  if (!found.isDirectory()) return [path]
  const names = (await readdir(path)).filter(name => /\.(ya?ml|json)$/.test(name)).sort()
  if (names.length === 0) throw usageError(`There is no .yml, .yaml or .json file in ${path}.`)
  return names.map(name => join(path, name))
}

async function readText(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw usageError(`${path} cannot be read: ${error.message}`)
  })
  if (text.length > most.bytes) throw usageError(`${path} is larger than 1 MiB.`)
  return text
}

async function readDocuments(file: string, text: string): Promise<{wanted: Wanted[]; problems: string[]}> {
  const {parseAllDocuments, LineCounter} = await loadYaml()
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, {lineCounter: lines}) as Document.Parsed[]
  const wanted: Wanted[] = []
  const problems: string[] = []
  for (const [index, document] of documents.entries()) {
    const [error] = document.errors
    if (error) {
      problems.push(`${file}:${error.linePos?.[0].line ?? 1}: document ${index + 1}: ${error.message.split('\n')[0]}`)
      continue
    }
    const value: unknown = document.toJS({maxAliasCount: 10})
    if (value === null) continue
    const place = `${file}:${lineOf(document, [], lines)}`
    const faults = faultsOfManifest(value)
    for (const {path, problem} of faults) {
      const field = path.length === 0 ? '' : ` ${path.join('.')}`
      problems.push(
        `${file}:${lineOf(document, path, lines)}: document ${index + 1}${called(value)}:${field} ${problem}`,
      )
    }
    if (faults.length === 0) wanted.push({manifest: value as Manifest, name: nameOf(value as Manifest), place})
  }
  return {wanted, problems}
}

function faultsOfManifest(value: unknown) {
  const {kind} = (value ?? {}) as {kind?: unknown}
  const known = [...schemas.keys()].join(', ')
  if (typeof value !== 'object' || Array.isArray(value))
    return [{path: [], problem: `must be a map with a kind: ${known}`}]
  const wanted = schemas.get(kind as ManifestKind)
  if (kind === undefined) return [{path: ['kind'], problem: `is missing; it is one of ${known}`}]
  return wanted
    ? faultsOf(value, wanted)
    : [{path: ['kind'], problem: `is ${String(kind)}; it must be one of ${known}`}]
}

/** ` (spec/small)`, as far as it says so itself. */
function called(value: unknown): string {
  const {kind, name, user} = (value ?? {}) as Record<string, unknown>
  const own = name ?? user
  return typeof kind === 'string' && typeof own === 'string' ? ` (${kind}/${own})` : ''
}

/** Line of the member, or of the nearest thing around it that is there. */
function lineOf(document: Document.Parsed, path: readonly (string | number)[], lines: LineCounter): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as {range?: [number, number, number]} | undefined
    if (node?.range) return lines.linePos(node.range[0]).line
  }
  return lines.linePos(document.contents?.range?.[0] ?? 0).line
}
