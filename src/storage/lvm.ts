import {stat, statfs} from 'node:fs/promises'
import {join} from 'node:path'
import type {FoundPool, FoundSnapshot, FoundVolume, VolumeName} from '../contract/storage-protocol.ts'
import type {StorageCommand, StorageDriver, StoragePlans} from './driver.ts'
import {deviceOf, lvmPlans, newPrefix, oldPrefix, thinPool} from './lvm-plans.ts'
import {type LvmReport, type LvmRow, tagOf} from './lvm-report.ts'
import {mountAt} from './mount-table.ts'

/**
 * Pools that are volume groups, plain or with one thin pool in them; tags say whose they are. Volumes are logical volumes
 * with ext4, mounted in a folder of the pool. Names of our own have a `+`, which no volume's name has.
 */
export class LvmDriver implements StorageDriver {
  readonly type: 'lvm' | 'lvm-thin'
  readonly facts
  readonly plans: StoragePlans
  readonly #root: string
  readonly #report: LvmReport

  constructor({type, root, report}: {type: 'lvm' | 'lvm-thin'; root: string; report: LvmReport}) {
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
    this.#report = report
    this.plans = lvmPlans({type, root})
  }

  unavailable(): Promise<string | undefined> {
    return this.#report.unavailable()
  }

  async pools(): Promise<FoundPool[]> {
    const rows = await this.#report.groups()
    const names = [
      ...new Set(rows.filter(row => tagOf(row, 'gpuctl-type') === this.type).map(row => row.vg_name ?? '')),
    ]
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
          mark: tagOf(row, 'gpuctl'),
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

  async #pool(pool: string, rows: LvmRow[]): Promise<FoundPool> {
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
      mark: tagOf(row, 'gpuctl'),
    }
  }

  async #isReady(pool: string): Promise<boolean> {
    return this.type === 'lvm' || (await this.#logical(pool)).some(({lv_name: name}) => name === thinPool)
  }

  async #logical(pool: string): Promise<LvmRow[]> {
    const rows = await this.#report.volumes(pool)
    return rows.filter(row => !row.lv_name?.startsWith(newPrefix))
  }
}
