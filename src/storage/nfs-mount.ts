import {readFile, rmdir} from 'node:fs/promises'
import {join} from 'node:path'
import type {FoundMount, MountCreation} from '../contract/storage-protocol.ts'
import {type Run, type StorageCommand, StorageError} from './driver.ts'
import {exportPath, serverAddress, volumeName} from './grammar.ts'
import {LineFile} from './line-file.ts'
import {mountAt} from './mount-table.ts'
import type {StorageRunner} from './run.ts'
import {orTakenBack} from './taking-back.ts'

/** Hard, but interruptible: a server that comes back goes on where it was. */
const mountOptions = ['vers=4', 'hard', 'timeo=50', 'retrans=2', '_netdev', 'nofail']
const probeSeconds = '5'
const writeSeconds = '20'
/** The kernel itself asks a server that refuses for minutes. */
const mountSeconds = '40'
const refusals: readonly (readonly [RegExp, string])[] = [
  [/read-only/i, 'its server lets nobody write; share it for writing, or mount it read-only'],
  [/permission denied|not permitted/i, 'its server takes root for nobody; share it without root squash'],
]

type Source = Pick<MountCreation, 'server' | 'exportPath'>

interface NfsMountParts {
  runner: StorageRunner
  /** Folder of the mount points. */
  root: string
  /** Where the mounts survive a restart: /etc/fstab, lines marked as ours. */
  fstab?: string
}

/** Mounts of other nodes' exports: mounted, write-tested, kept over a restart; dead ones are told as dead. */
export class NfsMounts {
  readonly #parts: NfsMountParts
  readonly #table: LineFile

  constructor(parts: NfsMountParts) {
    this.#parts = parts
    this.#table = new LineFile(parts.fstab ?? '/etc/fstab')
  }

  plan({name, server, exportPath: path, readOnly}: MountCreation): StorageCommand[] {
    const source = sourceOf({server, exportPath: path})
    // retry: a server that is away is said to be away at once. After a restart the host may wait for it.
    const options = [...mountOptions, readOnly ? 'ro' : 'rw', 'retry=0'].join(',')
    return [
      {file: 'mkdir', args: ['-p', this.#path(name)]},
      timed(mountSeconds, 'mount', '-t', 'nfs4', '-o', options, source, this.#path(name)),
    ]
  }

  removalPlan(name: string): StorageCommand[] {
    return [
      {file: 'umount', args: ['-fl', this.#path(name)], fine: /not mounted|no mount point|not found|no such file/i},
    ]
  }

  /** Whole or not at all: what cannot be written is unmounted again, unless it was whole before. */
  async create(input: MountCreation, run: Run): Promise<FoundMount> {
    const path = this.#path(input.name)
    const there = await mountAt(path)
    if (there && there.source !== sourceOf(input)) {
      throw new StorageError('in_use', `${there.source} is mounted at ${path} already.`)
    }
    if (there && there.readOnly !== input.readOnly) {
      const how = there.readOnly ? 'read-only' : 'for writing'
      throw new StorageError('in_use', `${there.source} is mounted at ${path} ${how} already; unmount it first.`)
    }
    const known = there && (await this.list()).find(({name}) => name === input.name)
    if (known?.state === 'dead')
      throw new StorageError('failed', `${input.name} is mounted at ${path}. ${known.detail}`)
    const work = async () => {
      if (!there) await run(this.plan(input)).catch(withoutClient)
      if (!input.readOnly) await this.#writeTest(input.name, run)
      await this.#writeLine(input)
      const found = (await this.list()).find(({name}) => name === input.name)
      if (found?.state !== 'mounted') throw new StorageError('failed', `${input.name} is mounted, and does not answer.`)
      return found
    }
    const left = `${path} may still be mounted, and stand in ${this.#parts.fstab ?? '/etc/fstab'}. End that with umount -fl ${path}.`
    return known ? work() : orTakenBack(work, {undo: () => this.remove(input.name, run), left})
  }

  /** With a source: nothing of another one. */
  async remove(name: string, run: Run, source?: Source): Promise<void> {
    const there = source && (await mountAt(this.#path(name)))
    if (there && there.source !== sourceOf(source)) return
    await run(this.removalPlan(name))
    await this.#table.change(lines => lines.filter(line => !isOf(line, name)))
    await rmdir(this.#path(name)).catch(() => {})
  }

  /** After a restart: mounts of ours that the host could not make, their server being away. */
  async restorePlan(): Promise<StorageCommand[]> {
    const found = await this.list()
    return found.filter(({state}) => state === 'absent').flatMap(mount => this.plan(mount))
  }

  /** What is ours, by the marked lines; whether it is mounted, by the kernel's own table. */
  async list(): Promise<FoundMount[]> {
    const table = await readFile('/proc/mounts', 'utf8').catch(() => '')
    const lines = await this.#known()
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

  /** By programs of their own: a server that falls silent would hang whoever writes. */
  async #writeTest(name: string, run: Run): Promise<void> {
    const file = join(this.#path(name), `.gpuctl-write-test-${process.pid}`)
    try {
      await run([timed(writeSeconds, 'cp', '/proc/version', file), timed(writeSeconds, 'rm', file)])
    } catch (error) {
      const said = (error as Error).message
      const why = refusals.find(([words]) => words.test(said))?.[1] ?? said
      throw new StorageError('failed', `${name} was mounted and cannot be written: ${why}.`, {cause: error})
    }
  }

  async #writeLine({name, server, exportPath: path, readOnly}: MountCreation): Promise<void> {
    const options = [...mountOptions, readOnly ? 'ro' : 'rw', marker(name)].join(',')
    const line = `${sourceOf({server, exportPath: path})} ${this.#path(name)} nfs4 ${options} 0 0`
    await this.#table.change(lines => [...lines.filter(known => !isOf(known, name)), line])
  }

  async #known(): Promise<MountCreation[]> {
    return (await this.#table.lines()).flatMap(readLine)
  }

  #path(name: string): string {
    return join(this.#parts.root, volumeName(name))
  }
}

function sourceOf({server, exportPath: path}: Source): string {
  return `${serverAddress(server)}:${exportPath(path)}`
}

/** What `mount` says where the kernel knows no such file system. */
function withoutClient(error: unknown): never {
  if (!(error instanceof StorageError && /No such device|unknown filesystem type/i.test(error.message))) throw error
  throw new StorageError('unavailable', 'The kernel of this machine cannot mount NFS: it has no module nfsv4.', {
    cause: error,
  })
}

function timed(seconds: string, ...words: string[]): StorageCommand {
  return {file: 'timeout', args: ['-k', '1', seconds, ...words]}
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
