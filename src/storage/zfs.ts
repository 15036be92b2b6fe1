import type {FoundPool, FoundShare, FoundSnapshot, FoundVolume, VolumeName} from '../contract/storage-protocol.ts'
import {type StorageCommand, type StorageDriver, StorageError, type StoragePlans} from './driver.ts'
import {commentText, devicePath, markText, poolName, sizeBytes, volumeName} from './grammar.ts'
import type {StorageRunner} from './run.ts'

/** User properties: whose work a dataset is, and since when (reliability M24). */
const markProperty = 'gpuctl:task'
const commentProperty = 'gpuctl:comment'
const volumeProperty = 'gpuctl:volume'
const gone = /does not exist|no such pool|could not find any snapshots/i

/** Pools and datasets of OpenZFS; also of zfs-fuse, which knows no `-p` for `list` and no JSON. */
export class ZfsDriver implements StorageDriver {
  readonly type = 'zfs'
  readonly facts = {needsDevice: true, sized: false, quota: true, snapshots: true, clones: true, send: true}
  readonly plans: StoragePlans = zfsPlans
  readonly #runner: StorageRunner

  constructor({runner}: {runner: StorageRunner}) {
    this.#runner = runner
  }

  async unavailable(): Promise<string | undefined> {
    try {
      await this.#runner.read('zpool', ['list', '-H', '-o', 'name'])
      return undefined
    } catch (error) {
      return `ZFS does not work here: ${(error as Error).message}`
    }
  }

  async pools(): Promise<FoundPool[]> {
    const lines = rows(await this.#runner.read('zpool', ['list', '-H', '-o', 'name,health']))
    const found = await Promise.all(lines.map(([name = '', health = '']) => this.#pool(name, health).catch(ifGone)))
    return found.filter(pool => pool !== undefined)
  }

  async volumes(pool: string): Promise<FoundVolume[]> {
    const properties = await this.#properties(
      ['-r', '-d', '1'],
      ['used', 'quota', 'mountpoint', 'mounted', markProperty, volumeProperty],
      poolName(pool),
    )
    return [...properties]
      .filter(([name, values]) => name !== pool && !name.includes('@') && values.get(volumeProperty) === 'yes')
      .map(([name, values]) => ({
        ...{pool, type: this.type, volume: name.slice(pool.length + 1)},
        path: values.get('mounted') === 'yes' ? (values.get('mountpoint') ?? '') : '',
        quotaBytes: Number(values.get('quota')) || null,
        usedBytes: Number(values.get('used')) || 0,
        mark: own(values.get(markProperty)),
      }))
  }

  async snapshots({pool, volume}: VolumeName): Promise<FoundSnapshot[]> {
    const dataset = datasetOf({pool, volume})
    const found = await this.#properties(['-r', '-d', '1'], ['used', 'creation'], dataset)
    return [...found]
      .filter(([name]) => name.startsWith(`${dataset}@`))
      .map(([name, values]) => ({
        ...{pool, type: this.type, volume, snapshot: name.slice(dataset.length + 1)},
        createdAt: new Date(Number(values.get('creation')) * 1000).toISOString(),
        usedBytes: Number(values.get('used')) || 0,
      }))
  }

  async #pool(pool: string, health: string): Promise<FoundPool> {
    const wanted = ['used', 'available', 'mountpoint', 'mounted', markProperty, 'sharenfs']
    const read = await this.#properties([], wanted, pool).catch(unlessUnreadable)
    const values = read?.get(pool) ?? new Map<string, string>()
    const used = Number(values.get('used')) || 0
    const free = Number(values.get('available')) || 0
    const path = values.get('mounted') === 'yes' ? (values.get('mountpoint') ?? '') : ''
    return {
      ...{pool, type: this.type, facts: this.facts},
      devices: await this.#devices(pool),
      sizeBytes: used + free,
      freeBytes: free,
      state: read ? (states[health] ?? 'unknown') : 'faulted',
      path,
      mark: own(values.get(markProperty)),
      share: shareOf(values.get('sharenfs') ?? 'off', path),
    }
  }

  /** `get -Hp` gives exact bytes on every version, where `list -p` is missing on some. */
  async #properties(scope: string[], names: string[], dataset: string): Promise<Map<string, Map<string, string>>> {
    const args = ['get', '-Hp', ...scope, '-o', 'name,property,value', names.join(','), dataset]
    const found = new Map<string, Map<string, string>>()
    for (const [name = '', property = '', value = ''] of rows(await this.#runner.read('zfs', args))) {
      found.set(name, (found.get(name) ?? new Map()).set(property, value))
    }
    return found
  }

  async #devices(pool: string): Promise<string[]> {
    const text = await this.#runner.read('zpool', ['status', pool])
    const table = text.slice(text.indexOf('NAME'), text.indexOf('errors:'))
    return [...table.matchAll(/^\t\s+(\S+)\s+(?:ONLINE|DEGRADED|FAULTED|UNAVAIL|OFFLINE|REMOVED)/gm)]
      .map(([, name = '']) => name)
      .filter(name => name !== pool && !/^(mirror|raidz|draid|spare|replacing|logs|cache)/.test(name))
      .map(name => (name.startsWith('/') ? name : `/dev/${name}`))
  }
}

const states: Record<string, FoundPool['state']> = {
  ONLINE: 'online',
  DEGRADED: 'degraded',
  FAULTED: 'faulted',
  UNAVAIL: 'faulted',
  SUSPENDED: 'faulted',
}

const zfsPlans: StoragePlans = {
  createPool({pool, device, force, mark, comment}) {
    if (!device) throw new StorageError('invalid', 'A ZFS pool needs a device.')
    const path = devicePath(device)
    const make = (...note: string[]) => [
      ...['create', ...(force ? ['-f'] : []), ...note, '-O', `${markProperty}=${markText(mark)}`],
      ...[poolName(pool), path],
    ]
    const note = comment ? commentText(comment) : undefined
    const wipe: StorageCommand[] = force ? [{file: 'wipefs', args: ['-a', path]}] : []
    if (note === undefined) return [...wipe, {file: 'zpool', args: make()}]
    // zfs-fuse has no comments of pools: the pool's own dataset keeps it there.
    const otherwise = {when: /not a valid pool property/i, args: make('-O', `${commentProperty}=${note}`)}
    return [...wipe, {file: 'zpool', args: make('-o', `comment=${note}`), otherwise}]
  },
  openPool: ({pool}) => [{file: 'zfs', args: ['mount', poolName(pool)], fine: /already mounted/i}],
  remnant: pool => `zfs_member "${pool}"`,
  destroyPool: ({pool, devices, wipe}) => [
    {file: 'zpool', args: ['destroy', '-f', poolName(pool)], fine: gone, patient: true},
    ...(wipe ? devices.map((device): StorageCommand => ({file: 'wipefs', args: ['-a', devicePath(device)]})) : []),
  ],
  openVolume: name => [{file: 'zfs', args: ['mount', datasetOf(name)], fine: /already mounted/i}],
  createVolume({quotaBytes, mark, ...name}) {
    const quota = quotaBytes === null ? [] : ['-o', `quota=${sizeBytes(quotaBytes)}`]
    const marks = ['-o', `${markProperty}=${markText(mark)}`, '-o', `${volumeProperty}=yes`]
    return [{file: 'zfs', args: ['create', ...quota, ...marks, datasetOf(name)]}]
  },
  setQuota: ({quotaBytes, ...name}) => [
    {file: 'zfs', args: ['set', `quota=${quotaBytes === null ? 'none' : sizeBytes(quotaBytes)}`, datasetOf(name)]},
  ],
  deleteVolume: name => [{file: 'zfs', args: ['destroy', '-r', datasetOf(name)], fine: gone, patient: true}],
  createSnapshot: ({snapshot, ...name}) => [
    {file: 'zfs', args: ['snapshot', `${datasetOf(name)}@${volumeName(snapshot)}`], fine: /already exists/i},
  ],
  deleteSnapshot: ({snapshot, ...name}) => [
    {file: 'zfs', args: ['destroy', `${datasetOf(name)}@${volumeName(snapshot)}`], fine: gone, patient: true},
  ],
  rollback: ({snapshot, ...name}) => [
    {file: 'zfs', args: ['rollback', '-r', `${datasetOf(name)}@${volumeName(snapshot)}`], patient: true},
  ],
  clone({snapshot, to, mark, ...name}) {
    const marks = ['-o', `${markProperty}=${markText(mark)}`, '-o', `${volumeProperty}=yes`]
    const from = `${datasetOf(name)}@${volumeName(snapshot)}`
    return [{file: 'zfs', args: ['clone', ...marks, from, datasetOf({pool: name.pool, volume: to})]}]
  },
  send({snapshot, since, ...name}) {
    const dataset = datasetOf(name)
    const difference = since === undefined ? [] : ['-i', `${dataset}@${volumeName(since)}`]
    return {file: 'zfs', args: ['send', ...difference, `${dataset}@${volumeName(snapshot)}`]}
  },
  // -F: what a look at the volume changed since the last stream is taken back.
  // -u: it is not mounted before it has its name, since a mount that somebody looks into holds up the renaming.
  receive: name => ({file: 'zfs', args: ['receive', '-u', '-F', datasetOf(name)]}),
  adopt({to, quotaBytes, mark, snapshots, ...name}) {
    const dataset = datasetOf(name)
    const set = (property: string, value: string | number) => ({
      file: 'zfs',
      args: ['set', `${property}=${value}`, dataset],
    })
    return [
      ...snapshots.map(one => ({file: 'zfs', args: ['destroy', `${dataset}@${volumeName(one)}`], fine: gone})),
      set('quota', quotaBytes === null ? 'none' : sizeBytes(quotaBytes)),
      set(markProperty, markText(mark)),
      set(volumeProperty, 'yes'),
      {file: 'zfs', args: ['rename', dataset, datasetOf({pool: name.pool, volume: to})]},
    ]
  },
}

function datasetOf({pool, volume}: Pick<VolumeName, 'pool' | 'volume'>): string {
  return `${poolName(pool)}/${volumeName(volume)}`
}

/** `rw=@192.168.3.0/24,no_root_squash` as a share, as zfs-fuse `192.168.3.0/24:rw,…`; what we did not write is none of ours. */
function shareOf(text: string, exportPath: string): FoundShare | null {
  const [, openMode, openNetwork] = /(?:^|,)(rw|ro)=@([\d./]+)(?:,|$)/.exec(text) ?? []
  const [, fuseNetwork, fuseMode] = /^([\d./]+):(rw|ro)(?:,|$)/.exec(text) ?? []
  const [mode, network] = [openMode ?? fuseMode, openNetwork ?? fuseNetwork]
  if (!mode || !network) return null
  return {network, readWrite: mode === 'rw', rootSquash: !text.includes('no_root_squash'), exportPath}
}

/** One pool that cannot be read must not hide the others. */
function unlessUnreadable(error: unknown): undefined {
  if (!(error instanceof StorageError && error.code === 'failed')) throw error
}

/** A pool that was destroyed between two looks is none. */
function ifGone(error: unknown): undefined {
  if (error instanceof StorageError && error.code === 'not_found') return undefined
  throw error
}

function own(mark: string | undefined): string {
  return mark === undefined || mark === '-' ? '' : mark
}

function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => line.split('\t'))
}
