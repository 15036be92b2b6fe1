import {readdir, stat} from 'node:fs/promises'
import {join} from 'node:path'
import type {FoundPool, FoundSnapshot, FoundVolume, VolumeName} from '../contract/storage-protocol.ts'
import {DirectoryDriver} from './directory.ts'
import type {StorageCommand, StorageDriver, StoragePlans} from './driver.ts'
import {poolName, volumeName} from './grammar.ts'
import {markCommands} from './mark-file.ts'
import type {StorageRunner} from './run.ts'

/**
 * For simulated machines and for tests of what is above: folders, whose snapshots are copies. Needs no device, no root
 * and no storage program. Quotas it has none: what stops nobody is no quota.
 */
export class FakeDriver implements StorageDriver {
  readonly type = 'fake'
  readonly facts = {needsDevice: false, sized: false, quota: false, snapshots: true, clones: true, send: false}
  readonly plans: StoragePlans
  readonly #root: string
  readonly #folders: DirectoryDriver
  readonly #runner: StorageRunner

  constructor({root, runner}: {root: string; runner: StorageRunner}) {
    this.#root = root
    this.#runner = runner
    this.#folders = new DirectoryDriver({root, runner})
    this.plans = {...this.#folders.plans, ...fakePlans(root)}
  }

  unavailable(): Promise<string | undefined> {
    return this.#folders.unavailable()
  }

  async pools(): Promise<FoundPool[]> {
    const found = await this.#folders.pools()
    return found.map(pool => ({...pool, type: this.type, facts: this.facts}))
  }

  async volumes(pool: string): Promise<FoundVolume[]> {
    const found = await this.#folders.volumes(pool)
    return found.map(volume => ({...volume, type: this.type}))
  }

  async snapshots(name: VolumeName): Promise<FoundSnapshot[]> {
    const folder = snapshotFolder(this.#root, name)
    const names = (await readdir(folder).catch(() => [])).filter(one => !one.startsWith('.'))
    return Promise.all(
      names.map(async snapshot => {
        const used = await this.#runner.read('du', ['-s', '-x', '-B1', join(folder, snapshot)])
        const {birthtime} = await stat(join(folder, snapshot))
        return {...name, type: this.type, snapshot, createdAt: birthtime.toISOString(), usedBytes: parseInt(used, 10)}
      }),
    )
  }
}

function fakePlans(root: string): Pick<StoragePlans, 'createSnapshot' | 'deleteSnapshot' | 'rollback' | 'clone'> {
  const volumeAt = ({pool, volume}: Pick<VolumeName, 'pool' | 'volume'>) =>
    join(root, poolName(pool), volumeName(volume))
  const snapshotAt = (name: VolumeName & {snapshot: string}) =>
    join(snapshotFolder(root, name), volumeName(name.snapshot))
  /** Whole or not at all: copied under a hidden name first. */
  const copy = (from: string, folder: string, name: string, mark?: string): StorageCommand[] => {
    const making = join(folder, `.new.${name}`)
    return [
      remove(making),
      {file: 'cp', args: ['-a', '-T', from, making]},
      ...(mark === undefined ? [] : markCommands(making, mark)),
      {file: 'mv', args: ['-T', making, join(folder, name)]},
    ]
  }
  return {
    createSnapshot: name => [
      {file: 'mkdir', args: ['-p', snapshotFolder(root, name)]},
      ...copy(volumeAt(name), snapshotFolder(root, name), volumeName(name.snapshot)),
    ],
    deleteSnapshot: name => [remove(snapshotAt(name))],
    rollback: name => [
      remove(volumeAt(name)),
      ...copy(snapshotAt(name), join(root, poolName(name.pool)), volumeName(name.volume)),
    ],
    clone: ({to, mark, ...name}) => copy(snapshotAt(name), join(root, poolName(name.pool)), volumeName(to), mark),
  }
}

function snapshotFolder(root: string, {pool, volume}: Pick<VolumeName, 'pool' | 'volume'>): string {
  return join(root, poolName(pool), '.snapshots', volumeName(volume))
}

function remove(path: string): StorageCommand {
  return {file: 'rm', args: ['-rf', '--one-file-system', path]}
}
