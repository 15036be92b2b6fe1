import {stat, statfs} from 'node:fs/promises'
import {join} from 'node:path'
import type {FoundPool, FoundSnapshot, FoundVolume, VolumeName} from '../contract/storage-protocol.ts'
import {noStream, type StorageCommand, type StorageDriver, StorageError, type StoragePlans} from './driver.ts'
import {devicePath, markText, poolName, sizeBytes, volumeName} from './grammar.ts'
import {markCommands, readMark} from './mark-file.ts'
import {mountAt} from './mount-table.ts'
import type {StorageRunner} from './run.ts'
import {stillThere} from './vanishing.ts'

const missing = /no such file|not a btrfs|not mounted|no mount point/i

/**
 * Pools that are btrfs file systems of our own, mounted below one folder. The label says whose they are, and is written
 * with the file system in one command (reliability M24). Volumes are subvolumes: made under a hidden name and renamed
 * when nothing is missing any more.
 */
export class BtrfsDriver implements StorageDriver {
  readonly type = 'btrfs'
  readonly facts = {needsDevice: true, sized: false, quota: true, snapshots: true, clones: true, send: false}
  readonly plans: StoragePlans
  readonly #root: string
  readonly #runner: StorageRunner

  constructor({root, runner}: {root: string; runner: StorageRunner}) {
    this.#root = root
    this.#runner = runner
    this.plans = btrfsPlans(root)
  }

  async unavailable(): Promise<string | undefined> {
    try {
      await this.#runner.read('mkfs.btrfs', ['--version'])
      return undefined
    } catch (error) {
      return `Btrfs does not work here: ${(error as Error).message}`
    }
  }

  async pools(): Promise<FoundPool[]> {
    // It fails as a whole when a file system, be it anybody's, goes while it looks.
    const show = () => this.#runner.read('btrfs', ['filesystem', 'show', '--raw'])
    const text = await show().catch(show).catch(show)
    const found = text.split(/^(?=Label: )/m).flatMap(block => readFilesystem(block))
    return stillThere(found.map(one => this.#pool(one)))
  }

  async volumes(pool: string): Promise<FoundVolume[]> {
    const folder = join(this.#root, poolName(pool))
    const sizes = await this.#sizes(folder)
    const names = [...sizes.keys()].filter(path => !path.includes('/'))
    // One whose roll-back was cut off between two renames is still there, under its old name.
    const cutOff = names.filter(name => name.startsWith('.old.') && !names.includes(name.slice('.old.'.length)))
    return Promise.all(
      [...names.filter(name => !name.startsWith('.')), ...cutOff].map(async name => ({
        ...{pool, type: this.type, volume: name.replace(/^\.old\./, ''), path: join(folder, name)},
        quotaBytes: sizes.get(name)?.quotaBytes ?? null,
        usedBytes: sizes.get(name)?.usedBytes ?? 0,
        mark: await readMark(join(folder, name)),
      })),
    )
  }

  async snapshots({pool, volume}: VolumeName): Promise<FoundSnapshot[]> {
    const folder = join(this.#root, poolName(pool))
    const parent = `.snapshots/${volumeName(volume)}/`
    const [text, sizes] = [
      await this.#runner.read('btrfs', ['subvolume', 'list', '-s', folder]),
      await this.#sizes(folder),
    ]
    return [...text.matchAll(/ otime (\S+) (\S+) path (\S+)$/gm)]
      .filter(([, , , path = '']) => path.startsWith(parent))
      .map(([, day = '', time = '', path = '']) => ({
        ...{pool, type: this.type, volume, snapshot: path.slice(parent.length)},
        createdAt: new Date(`${day}T${time}Z`).toISOString(),
        usedBytes: sizes.get(path)?.ownBytes ?? 0,
      }))
  }

  async closedPools(): Promise<string[]> {
    const closed = (await this.pools()).filter(({path}) => path === '').map(({pool}) => pool)
    // Only those that had their place on this host: its folder is left.
    const known = await Promise.all(closed.map(pool => stat(join(this.#root, pool)).catch(() => undefined)))
    return closed.filter((_, index) => known[index])
  }

  async restorePlan(name: string): Promise<StorageCommand[]> {
    const found = (await this.pools()).find(({pool, path}) => pool === name && path === '')
    return found ? (this.plans.openPool?.(found) ?? []) : []
  }

  async #pool({pool, mark, devices, sizeBytes: size, isWhole}: Filesystem): Promise<FoundPool> {
    const path = join(this.#root, pool)
    const mount = await mountAt(path)
    const free = mount && (await statfs(path))
    const state = mount?.readOnly ? 'faulted' : isWhole ? 'online' : 'degraded'
    return {
      ...{pool, type: this.type, facts: this.facts, devices, sizeBytes: size, mark, share: null, state},
      freeBytes: free ? free.bavail * free.bsize : 0,
      path: mount ? path : '',
    }
  }

  /** Of every subvolume, by its path below the pool. */
  async #sizes(folder: string): Promise<Map<string, Sizes>> {
    const list = await this.#runner.read('btrfs', ['subvolume', 'list', folder])
    const groups = await this.#runner.read('btrfs', ['qgroup', 'show', '--raw', '-re', folder])
    const byId = new Map(
      [...groups.matchAll(/^0\/(\d+)\s+(\d+)\s+(\d+)\s+(\S+)/gm)].map(
        ([, id = '', used = '', own = '', limit = '']) => [
          id,
          {usedBytes: Number(used), ownBytes: Number(own), quotaBytes: Number(limit) || null},
        ],
      ),
    )
    const paths = [...list.matchAll(/^ID (\d+) .* path (\S+)$/gm)]
    return new Map(
      paths.map(([, id = '', path = '']) => [path, byId.get(id) ?? {usedBytes: 0, ownBytes: 0, quotaBytes: null}]),
    )
  }
}

interface Sizes {
  usedBytes: number
  /** What would be free if it went. */
  ownBytes: number
  quotaBytes: number | null
}

interface Filesystem {
  pool: string
  mark: string
  devices: string[]
  sizeBytes: number
  isWhole: boolean
}

/** A block of `btrfs filesystem show`; none of ours is no pool. */
function readFilesystem(block: string): Filesystem[] {
  const [, pool = '', mark = ''] = /^Label: 'gpuctl:([\w.-]+):([a-z0-9-]+)'/.exec(block) ?? []
  const devices = [...block.matchAll(/^\s*devid\s+\d+ size (\d+) .* path (\S+)/gm)]
  if (pool === '') return []
  return [
    {
      ...{pool, mark, devices: devices.map(([, , path = '']) => path).filter(path => path.startsWith('/'))},
      sizeBytes: devices.reduce((sum, [, size]) => sum + Number(size), 0),
      isWhole: !/missing/i.test(block),
    },
  ]
}

function btrfsPlans(root: string): StoragePlans {
  const place = (pool: string) => join(root, poolName(pool))
  const volumeAt = ({pool, volume}: Pick<VolumeName, 'pool' | 'volume'>) => join(place(pool), volumeName(volume))
  const hidden = (kind: 'new' | 'old', {pool, volume}: Pick<VolumeName, 'pool' | 'volume'>) =>
    join(place(pool), `.${kind}.${volumeName(volume)}`)
  const snapshotFolder = (name: VolumeName) => join(place(name.pool), '.snapshots', volumeName(name.volume))
  const snapshotAt = (name: VolumeName & {snapshot: string}) => join(snapshotFolder(name), volumeName(name.snapshot))
  const drop = (path: string): StorageCommand => btrfs('subvolume', 'delete', path)
  const limit = (quotaBytes: number | null, path: string): StorageCommand =>
    btrfs('qgroup', 'limit', quotaBytes === null ? 'none' : String(sizeBytes(quotaBytes)), path)
  const rename = (from: string, to: string): StorageCommand => ({file: 'mv', args: ['-T', from, to], fine: missing})

  const open = (pool: string, device: string): StorageCommand[] => [
    {file: 'mkdir', args: ['-p', '-m', '0755', place(pool)]},
    {file: 'mount', args: ['-t', 'btrfs', devicePath(device), place(pool)], fine: /already mounted/i},
  ]

  return {
    createPool({pool, device, force, mark}) {
      if (!device) throw new StorageError('invalid', 'A btrfs pool needs a device.')
      const path = devicePath(device)
      const label = `gpuctl:${poolName(pool)}:${markText(mark)}`
      const make = ['-q', ...(force ? ['-f'] : []), '-R', 'quota', '-L', label, path]
      return [
        ...(force ? [{file: 'wipefs', args: ['-a', path]}] : []),
        {file: 'mkfs.btrfs', args: make},
        ...open(pool, path),
      ]
    },
    openPool: ({pool, devices}) => open(pool, devices[0] ?? ''),
    destroyPool: ({pool, devices}) => [
      {file: 'umount', args: [place(pool)], fine: missing, patient: true},
      // A namespace that was made meanwhile may hold the file system a little longer.
      ...devices.map((device): StorageCommand => ({file: 'wipefs', args: ['-a', devicePath(device)], patient: true})),
      {file: 'rmdir', args: ['--ignore-fail-on-non-empty', place(pool)], fine: missing},
    ],
    createVolume({quotaBytes, mark, ...name}) {
      const making = hidden('new', name)
      return [
        drop(making),
        btrfs('subvolume', 'create', making),
        limit(quotaBytes, making),
        ...markCommands(making, mark),
        rename(making, volumeAt(name)),
      ]
    },
    setQuota: ({quotaBytes, ...name}) => [limit(quotaBytes, volumeAt(name))],
    deleteVolume: name => [
      drop(volumeAt(name)),
      drop(hidden('old', name)),
      drop(hidden('new', name)),
      {file: 'find', args: [snapshotFolder(name), ...onlyBelow, '-exec', 'btrfs', ...removal], fine: missing},
      {file: 'rmdir', args: [snapshotFolder(name)], fine: missing},
    ],
    createSnapshot: name => [
      {file: 'mkdir', args: ['-p', snapshotFolder(name)]},
      btrfs('subvolume', 'snapshot', '-r', volumeAt(name), snapshotAt(name)),
    ],
    deleteSnapshot: name => [drop(snapshotAt(name))],
    rollback: ({quotaBytes, ...name}) => [
      drop(hidden('new', name)),
      btrfs('subvolume', 'snapshot', snapshotAt(name), hidden('new', name)),
      limit(quotaBytes, hidden('new', name)),
      rename(volumeAt(name), hidden('old', name)),
      rename(hidden('new', name), volumeAt(name)),
      drop(hidden('old', name)),
    ],
    clone({to, mark, ...name}) {
      const target = {pool: name.pool, volume: to}
      const making = hidden('new', target)
      return [
        drop(making),
        btrfs('subvolume', 'snapshot', snapshotAt(name), making),
        limit(null, making),
        ...markCommands(making, mark),
        rename(making, volumeAt(target)),
      ]
    },
    send: noStream,
    receive: noStream,
    adopt: noStream,
  }
}

const onlyBelow = ['-mindepth', '1', '-maxdepth', '1']
const removal = ['subvolume', 'delete', '{}', '+']

/** What is gone already needs no removal. */
function btrfs(...args: string[]): StorageCommand {
  return args[1] === 'delete' ? {file: 'btrfs', args, fine: missing} : {file: 'btrfs', args}
}
