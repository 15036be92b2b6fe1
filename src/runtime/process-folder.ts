import {type ChildProcess, spawn} from 'node:child_process'
import {lstat, readlink, realpath} from 'node:fs/promises'
import {basename, dirname, join, normalize, sep} from 'node:path'
import type {Readable} from 'node:stream'
import {pipeline} from 'node:stream/promises'
import type {PathStat} from '../contract/schemas/instances.ts'
import {RuntimeError} from './driver.ts'

/** An instance's own folder as if it were the root: no path and no link leads out of it. Packs and unpacks with tar. */
export class ProcessFolder {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async stat(path: string): Promise<PathStat> {
    const at = await this.#find(path)
    const found = await lstat(at)
    const kind = found.isDirectory()
      ? 'folder'
      : found.isSymbolicLink()
        ? 'link'
        : found.isFile()
          ? ('file' as const)
          : 'other'
    return {
      name: at === this.#root ? '/' : basename(at),
      kind,
      sizeBytes: found.size,
      mode: found.mode & 0o7777,
      modifiedAt: found.mtime.toISOString(),
      linkTarget: kind === 'link' ? await readlink(at) : '',
    }
  }

  async pack(path: string, signal: AbortSignal): Promise<{stat: PathStat; content: Readable}> {
    const at = await this.#find(path)
    const stat = await this.stat(path)
    const [folder, name] = at === this.#root ? [at, '.'] : [dirname(at), basename(at)]
    const tar = spawn('tar', ['-C', folder, '-cf', '-', '--', name], {stdio: ['ignore', 'pipe', 'pipe'], signal})
    const content = tar.stdout
    content.on('error', () => {}) // seen by its reader
    content.on('close', () => tar.kill())
    exitOf(tar).catch(error => content.destroy(signal.aborted ? undefined : error))
    return {stat, content}
  }

  async unpack(path: string, content: Readable): Promise<void> {
    const at = await realpath(await this.#find(path))
    await this.#mustLieInside(at, path)
    if (!(await lstat(at)).isDirectory()) throw new RuntimeError('path_refused', 'It is not a folder.')
    const tar = spawn('tar', ['-C', at, '-xpf', '-'], {stdio: ['pipe', 'ignore', 'pipe']})
    const ended = exitOf(tar)
    ended.catch(() => {}) // awaited below
    const fed = pipeline(content, tar.stdin)
    fed.catch(() => tar.kill())
    await ended
    await fed
  }

  /** Where it lies; its last part may be a link, and all before it leads where it says. Throws no_path, path_refused. */
  async #find(path: string): Promise<string> {
    const inside = normalize(`/${path}`).replace(/\/+$/, '')
    if (inside === '') return this.#root
    const at = join(this.#root, inside)
    try {
      const folder = await realpath(dirname(at))
      await this.#mustLieInside(folder, path)
      const found = join(folder, basename(at))
      await lstat(found)
      return found
    } catch (error) {
      if (error instanceof RuntimeError) throw error
      throw new RuntimeError('no_path', `There is no ${path} in the instance.`, {cause: error})
    }
  }

  async #mustLieInside(found: string, path: string): Promise<void> {
    const root = await realpath(this.#root)
    if (found !== root && !found.startsWith(`${root}${sep}`))
      throw new RuntimeError('path_refused', `${path} leads out of the instance's folder.`)
  }
}

function exitOf(tar: ChildProcess): Promise<void> {
  let said = ''
  tar.stderr?.on('data', piece => {
    said = `${said}${piece}`.slice(0, 1000)
  })
  return new Promise((resolve, reject) => {
    tar.once('error', error => reject(new RuntimeError('failed', `tar cannot be started: ${error.message}`)))
    tar.once('close', code => {
      if (code === 0) resolve()
      else reject(new RuntimeError('path_refused', said.trim().split('\n')[0] || `tar ended with ${code}.`))
    })
  })
}
