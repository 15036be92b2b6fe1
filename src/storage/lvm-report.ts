import {joined} from '../platform/joined.ts'
import {poolName} from './grammar.ts'
import type {StorageRunner} from './run.ts'

export type LvmRow = Record<string, string>

/** What LVM's programs tell; the plain driver and the thin one ask for the volume groups together. */
export class LvmReport {
  readonly #runner: StorageRunner
  /** A row for each device of each volume group. */
  readonly groups: () => Promise<LvmRow[]>
  /** Why LVM cannot work here, or undefined when it can. */
  readonly unavailable: () => Promise<string | undefined>

  constructor({runner}: {runner: StorageRunner}) {
    this.#runner = runner
    this.groups = joined(() => this.#read('vgs', 'vg', 'vg_name,vg_size,vg_free,vg_tags,vg_attr,pv_name'))
    this.unavailable = joined(() => this.#missing())
  }

  /** The logical volumes of a group. */
  volumes(pool: string): Promise<LvmRow[]> {
    return this.#read('lvs', 'lv', 'lv_name,lv_size,lv_tags,lv_time,data_percent', poolName(pool))
  }

  async #missing(): Promise<string | undefined> {
    try {
      await this.#runner.read('dmsetup', ['version'])
      await this.#runner.read('vgs', ['--version'])
      return undefined
    } catch (error) {
      return `LVM does not work here: ${(error as Error).message}`
    }
  }

  async #read(program: string, table: 'vg' | 'lv', columns: string, ...rest: string[]): Promise<LvmRow[]> {
    const form = ['--reportformat', 'json', '--units', 'b', '--nosuffix', '-o', columns]
    const text = await this.#runner.read(program, [...form, ...rest])
    const {report} = JSON.parse(text) as {report: Record<string, LvmRow[]>[]}
    return report.flatMap(one => one[table] ?? [])
  }
}

/** The value of a tag `name:value`. */
export function tagOf({vg_tags, lv_tags}: LvmRow, name: string): string {
  const tags = (vg_tags ?? lv_tags ?? '').split(',')
  return tags.find(one => one.startsWith(`${name}:`))?.slice(name.length + 1) ?? ''
}
