import {access, readFile, rm, rmdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {FoundMount, MountCreation} from '../contract/storage-protocol.ts'
import {writeFileAtomic} from '../platform/files.ts'
import {type StorageCommand, StorageError} from './driver.ts'
import {exportPath, serverAddress, volumeName} from './grammar.ts'
import type {StorageRunner} from './run.ts'

/** Hard, but interruptible: a server that comes back goes on where it was. */
const mountOptions = ['vers=4', 'hard', 'timeo=50', 'retrans=2', '_netdev', 'nofail']
const probeSeconds = '5'

interface NfsMountParts {
  runner: StorageRunner
  /** Folder of the mount points. */
  root: string
  /** Where the mounts survive a restart: /etc/fstab, lines marked as ours. */
  fstab?: string
}

/** Mounts of other nodes' exports: mounted, write-tested, kept over a restart; dead ones are told as dead. */
export class NfsMounts {
  readonly #parts: Required<NfsMountParts>

  constructor(parts: NfsMountParts) {
    this.#parts = {fstab: '/etc/fstab', ...parts}
  }

  plan({name, server, exportPath: path, readOnly}: MountCreation): StorageCommand[] {
    const source = `${serverAddress(server)}:${exportPath(path)}`
    const options = [...mountOptions, readOnly ? 'ro' : 'rw'].join(',')
    return [
      {file: 'mkdir', args: ['-p', this.#path(name)]},
      {file: 'mount', args: ['-t', 'nfs4', '-o', options, source, this.#path(name)], fine: /already mounted/i},
    ]
  }

  removalPlan(name: string): StorageCommand[] {
    return [{file: 'umount', args: ['-f', '-l', this.#path(name)], fine: /not mounted|no mount point|not found/i}]
  }

  async create(input: MountCreation, signal?: AbortSignal): Promise<FoundMount> {
    for (const command of this.plan(input)) await this.#parts.runner.run(command, signal)
    await this.#writeLine(input)
    if (!input.readOnly) await this.#writeTest(input.name)
    const [found] = (await this.list()).filter(({name}) => name === input.name)
    if (found?.state !== 'mounted') throw new StorageError('failed', `${input.name} is mounted, and does not answer.`)
    return found
  }

  async remove(name: string): Promise<void> {
    for (const command of this.removalPlan(name)) await this.#parts.runner.run(command)
    await this.#changeLines(lines => lines.filter(line => !isOf(line, name)))
    await rmdir(this.#path(name)).catch(() => {})
  }

  /** What is ours, by the marked lines; whether it is mounted, by the kernel's own table. */
  async list(): Promise<FoundMount[]> {
    const table = await readFile('/proc/mounts', 'utf8').catch(() => '')
    const lines = (await this.#lines()).flatMap(line => readLine(line))
    return Promise.all(
      lines.map(async mount => ({...mount, path: this.#path(mount.name), ...(await this.#stateOf(mount.name, table))})),
    )
  }

  async #stateOf(name: string, table: string): Promise<Pick<FoundMount, 'state' | 'detail'>> {
    const path = this.#path(name)
    if (!table.split('\n').some(line => line.split(' ')[1] === path))
      return {state: 'absent', detail: 'It is not mounted.'}
    try {
      // Looking at a dead mount hangs whoever looks: another process does.
      await this.#parts.runner.read('timeout', ['-k', '1', probeSeconds, 'stat', '-f', path])
      return {state: 'mounted', detail: ''}
    } catch {
      return {state: 'dead', detail: `Its server has not answered for ${probeSeconds} s.`}
    }
  }

  async #writeTest(name: string): Promise<void> {
    const file = join(this.#path(name), `.gpuctl-write-test-${process.pid}`)
    try {
      await writeFile(file, 'gpuctl', {flag: 'wx'})
      await access(file)
    } catch (error) {
      throw new StorageError('failed', `${name} is mounted and cannot be written: ${(error as Error).message}`, {
        cause: error,
      })
    } finally {
      await rm(file, {force: true}).catch(() => {})
    }
  }

  async #writeLine({name, server, exportPath: path, readOnly}: MountCreation): Promise<void> {
    const options = [...mountOptions, readOnly ? 'ro' : 'rw', marker(name)].join(',')
    const line = `${serverAddress(server)}:${exportPath(path)} ${this.#path(name)} nfs4 ${options} 0 0`
    await this.#changeLines(lines => [...lines.filter(known => !isOf(known, name)), line])
  }

  async #lines(): Promise<string[]> {
    const text = await readFile(this.#parts.fstab, 'utf8').catch(() => '')
    return text.split('\n').filter((line, index, all) => line !== '' || index < all.length - 1)
  }

  async #changeLines(change: (lines: string[]) => string[]): Promise<void> {
    const before = await this.#lines()
    const after = change(before)
    if (after.join('\n') !== before.join('\n'))
      await writeFileAtomic(this.#parts.fstab, `${after.join('\n')}\n`, {mode: 0o644})
  }

  #path(name: string): string {
    return join(this.#parts.root, volumeName(name))
  }
}

/** An option that only readers of the table see: the kernel is never told what begins with `x-`. */
function marker(name: string): string {
  return `x-gpuctl.mount=${volumeName(name)}`
}

function isOf(line: string, name: string): boolean {
  return readLine(line).some(mount => mount.name === name)
}

function readLine(line: string): MountCreation[] {
  const [, server = '', path = '', options = '', name = ''] =
    /^([\d.]+):(\S+) \S+ nfs4 (\S*\bx-gpuctl\.mount=([\w.-]+)\S*) 0 0$/.exec(line) ?? []
  return name === '' ? [] : [{name, server, exportPath: path, readOnly: options.split(',').includes('ro')}]
}
