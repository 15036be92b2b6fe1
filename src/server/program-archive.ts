import {createHash} from 'node:crypto'
import {existsSync} from 'node:fs'
import {readdir, readFile, stat} from 'node:fs/promises'
import {dirname, join, relative} from 'node:path'
import {Readable} from 'node:stream'
import {buffer} from 'node:stream/consumers'
import {fileURLToPath} from 'node:url'
import {createGzip} from 'node:zlib'
import {encodeTarHead, tarEnd, tarPadding} from '../contract/tar.ts'

export interface ProgramArchive {
  content: Buffer
  /** SHA-256 */
  checksum: string
  /** As Node calls it: `linux-x64`. */
  platform: string
}

interface Manifest {
  files?: string[]
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

/** The program's own folder, from the sources as from the bundle. */
const ownFolder = fileURLToPath(new URL('../..', import.meta.url))
const platform = `${process.platform}-${process.arch}`

/**
 * This program as it is installed here, with the packages that it needs, for a machine of the same kind: a .tar.gz of one
 * folder `gpuctl`. Some seven MiB; kept in memory by whoever makes it.
 */
export async function archiveProgram(): Promise<ProgramArchive> {
  const content = await buffer(Readable.from(tarOf(ownFolder)).pipe(createGzip({level: 6})))
  return {content, platform, checksum: createHash('sha256').update(content).digest('hex')}
}

async function* tarOf(root: string): AsyncGenerator<Uint8Array> {
  const manifest = await manifestOf(root)
  const wanted = ['package.json', ...(manifest.files ?? [])].filter(name => !name.startsWith('!'))
  for (const name of wanted) yield* packed(root, join(root, name), 'gpuctl')
  for (const {folder, place} of await packagesOf(root)) yield* packed(folder, folder, `gpuctl/${place}`)
  yield tarEnd
}

/** The packages that are needed, each with its place in the tree. Where two versions are needed the later lies deeper. */
async function packagesOf(root: string): Promise<{folder: string; place: string}[]> {
  const found = new Map<string, string>()
  const visit = async (folder: string, place: string): Promise<void> => {
    const {dependencies = {}, optionalDependencies = {}} = await manifestOf(folder)
    for (const name of [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]) {
      const needed = folderOf(name, folder)
      if (needed === undefined) {
        if (Object.hasOwn(optionalDependencies, name)) continue
        throw new Error(`The package ${name} is not installed.`)
      }
      const top = `node_modules/${name}`
      if (found.get(top) === needed) continue
      const own = found.has(top) ? `${place}/${top}` : top
      if (found.get(own) === needed) continue
      found.set(own, needed)
      await visit(needed, own)
    }
  }
  await visit(root, '')
  return [...found].map(([place, folder]) => ({place, folder}))
}

/** As Node looks for it: beside the one that needs it, then further up. */
function folderOf(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return candidate
    if (dirname(folder) === folder) return undefined
  }
}

async function manifestOf(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
}

/** Programs of other machines, what debuggers read, and what a compiler would. */
function isLeftOut(path: string): boolean {
  const [, prebuilt] = /(?:^|\/)prebuilds\/([^/]+)/.exec(path) ?? []
  if (prebuilt !== undefined && prebuilt !== platform) return true
  return /\.(map|c|cc|cpp|h|ts|gyp|gypi)$|(^|\/)(node_modules|test|\.git)$/.test(path)
}

async function* packed(root: string, path: string, place: string): AsyncGenerator<Uint8Array> {
  const inside = relative(root, path)
  if (isLeftOut(inside)) return
  const stats = await stat(path).catch(() => undefined)
  if (stats?.isDirectory()) {
    for (const name of (await readdir(path)).sort()) yield* packed(root, join(path, name), place)
    return
  }
  if (!stats?.isFile()) return
  const content = await readFile(path)
  const isProgram = (stats.mode & 0o111) !== 0 || inside === join('bin', 'run.js')
  yield encodeTarHead({
    ...{path: `${place}/${inside}`, kind: 'file', sizeBytes: content.length, mode: isProgram ? 0o755 : 0o644},
    ...{uid: 0, gid: 0, modifiedAtMs: 0, linkTarget: ''},
  })
  yield content
  yield tarPadding(content.length)
}
