import {mkdir, readdir, statfs} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import type {FoundPool, FoundSnapshot, FoundVolume} from '../contract/storage-protocol.ts'
import {type StorageCommand, type StorageDriver, StorageError, type StoragePlans} from './driver.ts'
import {poolName, volumeName} from './grammar.ts'
import {markCommands, readMark} from './mark-file.ts'
import type {StorageRunner} from './run.ts'
import {stillThere} from './vanishing.ts'

/**
 * Pools that are folders of the node: what there is without any storage program. Volumes are folders in them; a quota is
 * written down and reported, and not enforced.
 */
export class DirectoryDriver implements StorageDriver {
  readonly type = 'directory'
  readonly facts = {needsDevice: false, sized: false, quota: false, snapshots: false, clones: false, send: false}
  readonly plans: StoragePlans
  readonly #root: string
  readonly #runner: StorageRunner

  constructor({root, runner}: {root: string; runner: StorageRunner}) {
    this.#root = root
    this.#runner = runner
    this.plans = directoryPlans(root)
  }

  async unavailable(): Promise<string | undefined> {
    try {
      await mkdir(this.#root, {recursive: true, mode: 0o700})
      return undefined
    } catch (error) {
      return `${this.#root} cannot be made: ${(error as Error).message}`
    }
  }

  async pools(): Promise<FoundPool[]> {
    const names = await foldersIn(this.#root)
    return stillThere(
      names.map(async (pool): Promise<FoundPool> => {
        const path = join(this.#root, pool)
        const {blocks, bavail, bsize} = await statfs(path)
        return {
          ...{pool, type: this.type, facts: this.facts, devices: [], path, share: null},
          ...{sizeBytes: blocks * bsize, freeBytes: bavail * bsize, state: 'online' as const},
          mark: await readMark(path),
        }
      }),
    )
  }

  async volumes(pool: string): Promise<FoundVolume[]> {
    const folder = join(this.#root, poolName(pool))
    const names = await foldersIn(folder)
    return stillThere(
      names.map(async (volume): Promise<FoundVolume> => {
        const path = join(folder, volume)
        const used = await this.#runner.read('du', ['-s', '-x', '-B1', path])
        const usedBytes = Number(used.split('\t', 1)[0]) || 0
        return {...{pool, type: this.type, volume, path, quotaBytes: null, usedBytes}, mark: await readMark(path)}
      }),
    )
  }

  async snapshots(): Promise<FoundSnapshot[]> {
    throw unsupported()
  }
}

function directoryPlans(root: string): StoragePlans {
  const folder = (pool: string, volume?: string) =>
    volume === undefined ? join(root, poolName(pool)) : join(root, poolName(pool), volumeName(volume))
  /** Under a hidden name until it bears its mark: whoever is cut off leaves nothing half done. */
  const make = (path: string, mark: string): StorageCommand[] => {
    const making = hidden('new', path)
    return [
      {file: 'mkdir', args: ['-p', '-m', '0755', making]},
      ...markCommands(making, mark),
      {file: 'mv', args: ['-T', making, path]},
    ]
  }
  const drop = (path: string): StorageCommand[] => {
    const going = hidden('old', path)
    return [
      {file: 'rm', args: ['-rf', '--one-file-system', hidden('new', path), going]},
      {file: 'mv', args: ['-T', path, going], fine: /no such file/i},
      {file: 'rm', args: ['-rf', '--one-file-system', going]},
    ]
  }
  return {
    createPool: ({pool, mark}) => make(folder(pool), mark),
    destroyPool: ({pool}) => drop(folder(pool)),
    createVolume: ({pool, volume, mark}) => make(folder(pool, volume), mark),
    setQuota: () => [],
    deleteVolume: ({pool, volume}) => [
      ...drop(folder(pool, volume)),
      {file: 'rm', args: ['-rf', '--one-file-system', join(folder(pool), '.snapshots', volumeName(volume))]},
    ],
    createSnapshot: unsupportedPlan,
    deleteSnapshot: unsupportedPlan,
    rollback: unsupportedPlan,
    clone: unsupportedPlan,
    send: unsupportedPlan,
    receive: unsupportedPlan,
    adopt: unsupportedPlan,
  }
}

function hidden(kind: 'new' | 'old', path: string): string {
  return join(dirname(path), `.${kind}.${basename(path)}`)
}

function unsupportedPlan(): never {
  throw unsupported()
}

function unsupported(): StorageError {
  return new StorageError('unsupported', 'A pool that is a folder has no snapshots.')
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, {withFileTypes: true}).catch(() => [])
  return entries
    .filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({name}) => name)
    .sort()
}
