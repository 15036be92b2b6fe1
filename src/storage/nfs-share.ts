import type {FoundShare, Share} from '../contract/storage-protocol.ts'
import type {Run, StorageCommand} from './driver.ts'
import {exportPath, network, poolName} from './grammar.ts'
import {LineFile} from './line-file.ts'
import type {StorageRunner} from './run.ts'

/** What `exportfs -s` prints and a table of exports holds: `PATH  CLIENT(options)`, one a line. */
const exportLine = /^(\S+)\s+(\S+?)\(([^)]*)\)/gm

/** Exports a pool's path with the kernel's NFS table, for pools whose driver has no share of its own. */
export function sharePlan(path: string, share: Share): StorageCommand[] {
  return [{file: 'exportfs', args: ['-o', optionsOf(share), `${network(share.network)}:${exportPath(path)}`]}]
}

function optionsOf({readWrite, rootSquash}: Share): string {
  return [
    readWrite ? 'rw' : 'ro',
    rootSquash ? 'root_squash' : 'no_root_squash',
    'no_subtree_check',
    'crossmnt', // volumes may be file systems of their own
  ].join(',')
}

export function unsharePlan(path: string, {network: cidr}: Share): StorageCommand[] {
  return [{file: 'exportfs', args: ['-u', `${network(cidr)}:${exportPath(path)}`], fine: /not found|could not find/i}]
}

/** ZFS keeps the share with the pool, so that it survives a restart: the very command of the infra document. */
export function zfsSharePlan(pool: string, share: Share): StorageCommand[] {
  const [mode, root] = [share.readWrite ? 'rw' : 'ro', share.rootSquash ? '' : ',no_root_squash']
  const set = (value: string) => ['set', `sharenfs=${value}`, poolName(pool)]
  const client = network(share.network)
  // zfs-fuse takes `CLIENT:OPTIONS`.
  const otherwise = {when: /exportfs failed/i, args: set(`${client}:${mode}${root}`)}
  return [{file: 'zfs', args: set(`${mode}=@${client}${root}`), otherwise}]
}

export function zfsUnsharePlan(pool: string): StorageCommand[] {
  return [{file: 'zfs', args: ['set', 'sharenfs=off', poolName(pool)]}]
}

/** Shares of pools whose driver has none of its own: in the server's table, and in a file that it reads when it starts. */
export class NfsShares {
  readonly #runner: StorageRunner
  readonly #file: LineFile

  /** `file`: a table of exports in which every line is ours. */
  constructor({runner, file = '/etc/exports.d/gpuctl.exports'}: {runner: StorageRunner; file?: string}) {
    this.#runner = runner
    this.#file = new LineFile(file)
  }

  /** In place of the one that the path has. */
  plan(path: string, share: Share, now: FoundShare | null): StorageCommand[] {
    const isOther = now && now.network !== network(share.network)
    return [...(isOther ? unsharePlan(path, now) : []), ...sharePlan(path, share)]
  }

  async share(path: string, share: Share, now: FoundShare | null, run: Run): Promise<void> {
    await run(this.plan(path, share, now))
    await this.#change(path, [`${exportPath(path)} ${network(share.network)}(${optionsOf(share)})`])
  }

  async unshare(path: string, share: Share, run: Run): Promise<void> {
    await this.#change(path, [])
    await run(unsharePlan(path, share))
  }

  /** Every export of this host. */
  async list(): Promise<FoundShare[]> {
    return readShares(await this.#runner.read('exportfs', ['-s']).catch(() => ''))
  }

  /** After a restart: the server may have read its tables before the pools were in their places. */
  async restorePlan(): Promise<StorageCommand[]> {
    const kept = readShares((await this.#file.lines()).join('\n'))
    return kept.flatMap(share => sharePlan(share.exportPath, share))
  }

  /** Shares of ours that the server's table lacks. */
  async missing(): Promise<FoundShare[]> {
    const now = await this.list()
    const kept = readShares((await this.#file.lines()).join('\n'))
    return kept.filter(share => !now.some(one => one.exportPath === share.exportPath && one.network === share.network))
  }

  #change(path: string, added: string[]): Promise<void> {
    return this.#file.change(lines => [...lines.filter(line => line.split(' ')[0] !== path), ...added])
  }
}

function readShares(text: string): FoundShare[] {
  return [...text.matchAll(exportLine)].map(([, path = '', client = '', options = '']) => ({
    exportPath: path,
    network: client,
    readWrite: /\brw\b/.test(options),
    rootSquash: !options.includes('no_root_squash'),
  }))
}
