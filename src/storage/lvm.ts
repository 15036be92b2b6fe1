import {stat, statfs} from 'node:fs/promises'
import {join} from 'node:path'
import type {FoundPool, FoundSnapshot, FoundVolume, VolumeName} from '../contract/storage-protocol.ts'
import type {StorageCommand, StorageDriver, StoragePlans} from './driver.ts'
import {poolName} from './grammar.ts'
import {deviceOf, lvmPlans, newPrefix, oldPrefix, thinPool} from './lvm-plans.ts'
import {mountAt} from './mount-table.ts'
import type {StorageRunner} from './run.ts'

type Row = Record<string, string>

/**
 * Pools that are volume groups, plain or with one thin pool in them; tags say whose they are. Volumes are logical volumes
 * with ext4, mounted in a folder of the pool. Names of our own have a `+`, which no volume's name has.
 */
export class LvmDriver implements StorageDriver {
  readonly type: 'lvm' | 'lvm-thin'
  readonly facts
  readonly plans: StoragePlans
  readonly #root: string
  readonly #runner: StorageRunner

  constructor({type, root, runner}: {type: 'lvm' | 'lvm-thin'; root: string; runner: StorageRunner}) {
    this.type = type
    // A snapshot of a plain volume is no ground for another one.
    this.facts = {
      needsDevice: true,
      sized: true,
      quota: true,
      snapshots: true,
      clones: type === 'lvm-thin',
      send: false,
    }
    this.#root = root
    this.#runner = runner
    this.plans = lvmPlans({type, root})
  }

  async unavailable(): Promise<string | undefined> {
    try {
      await this.#runner.read('dmsetup', ['version'])
      await this.#runner.read('vgs', ['--version'])
      return undefined
    } catch (error) {
      return `LVM does not work here: ${(error as Error).message}`
    }
  }

  async pools(): Promise<FoundPool[]> {
    const rows = await this.#report('vgs', 'vg', 'vg_name,vg_size,vg_free,vg_tags,vg_attr,pv_name')
    const names = [...new Set(rows.filter(row => tag(row, 'gpuctl-type') === this.type).map(row => row.vg_name ?? ''))]
    return Promise.all(
      names.map(name =>
        this.#pool(
          name,
          rows.filter(row => row.vg_name === name),
        ),
      ),
    )
  }

  async volumes(pool: string): Promise<FoundVolume[]> {
    const rows = await this.#logical(pool)
    const names = rows.map(row => row.lv_name ?? '')
    const kept = rows.filter(({lv_name: name = ''}) =>
      name.startsWith(oldPrefix) ? !names.includes(name.slice(oldPrefix.length)) : !name.includes('+'),
    )
    return Promise.all(
      kept.map(async row => {
        const volume = (row.lv_name ?? '').replace(oldPrefix, '')
        const path = join(this.#root, pool, volume)
        const size = (await mountAt(path)) && (await statfs(path))
        return {
          ...{pool, type: this.type, volume, path, quotaBytes: Number(row.lv_size)},
          usedBytes: size ? (size.blocks - size.bfree) * size.bsize : 0,
          mark: tag(row, 'gpuctl'),
        }
      }),
    )
  }

  async snapshots({pool, volume}: VolumeName): Promise<FoundSnapshot[]> {
    const rows = (await this.#logical(pool)).filter(({lv_name: name}) => name?.startsWith(`${volume}+`))
    return rows.map(row => ({
      ...{pool, type: this.type, volume, snapshot: (row.lv_name ?? '').slice(volume.length + 1)},
      createdAt: new Date(row.lv_time ?? '').toISOString(),
      usedBytes: Math.round((Number(row.lv_size) * (Number(row.data_percent) || 0)) / 100),
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
    if (!found) return []
    const volumes = await this.volumes(name)
    const mounts = volumes.flatMap(({volume}): StorageCommand[] => {
      const at = join(this.#root, name, volume)
      return [
        {file: 'mkdir', args: ['-p', at]},
        {file: 'mount', args: [deviceOf(name, volume), at]},
      ]
    })
    return [...(this.plans.openPool?.(found) ?? []), ...mounts]
  }

  async #pool(pool: string, rows: Row[]): Promise<FoundPool> {
    const [row = {}] = rows
    const path = join(this.#root, pool)
    const isOpen = (await mountAt(path)) !== undefined && (await this.#isReady(pool))
    return {
      ...{pool, type: this.type, facts: this.facts, share: null},
      devices: rows.map(({pv_name: device = ''}) => device).filter(device => device.startsWith('/')),
      sizeBytes: Number(row.vg_size),
      freeBytes: Number(row.vg_free),
      state: row.vg_attr?.[3] === 'p' ? 'degraded' : 'online',
      path: isOpen ? path : '',
      mark: tag(row, 'gpuctl'),
    }
  }

  async #isReady(pool: string): Promise<boolean> {
    return this.type === 'lvm' || (await this.#logical(pool)).some(({lv_name: name}) => name === thinPool)
  }

  #logical(pool: string): Promise<Row[]> {
    const columns = 'lv_name,lv_size,lv_tags,lv_time,data_percent'
    return this.#report('lvs', 'lv', columns, poolName(pool))
  }

  async #report(program: string, table: 'vg' | 'lv', columns: string, ...rest: string[]): Promise<Row[]> {
    const text = await this.#runner.read(program, [
      ...['--reportformat', 'json', '--units', 'b', '--nosuffix', '-o', columns],
      ...rest,
    ])
    const {report} = JSON.parse(text) as {report: Record<string, Row[]>[]}
    return report.flatMap(one => one[table] ?? []).filter(row => !row.lv_name?.startsWith(newPrefix))
  }
}

/** The value of a tag `name:value`. */
function tag({vg_tags, lv_tags}: Row, name: string): string {
  const tags = (vg_tags ?? lv_tags ?? '').split(',')
  return tags.find(one => one.startsWith(`${name}:`))?.slice(name.length + 1) ?? ''
}
