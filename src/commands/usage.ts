import {Flags} from '@oclif/core'
import {ListCommand} from '../cli/list-command.ts'
import type {Column} from '../cli/output/column.ts'
import {readTime} from '../cli/units.ts'
import type {Usage as UsageRow} from '../contract/schemas/usage.ts'

const columns: Column<UsageRow>[] = [
  {name: 'name', value: ({name}) => name, shown: ({name}) => name || '(no spec)'},
  {name: 'claims', value: ({claims}) => claims},
  {name: 'gpu-hours', value: ({gpuHours}) => gpuHours, shown: ({gpuHours}) => gpuHours.toFixed(2)},
  {name: 'cost', value: ({cost}) => cost, shown: ({cost}) => cost.toFixed(2)},
]

export default class Usage extends ListCommand {
  static override summary = 'Show GPU-hours and cost by user, node or spec; for who is no administrator only the own.'
  static override description =
    'A card counts from when it is given to a claim until it is given back, whether it computes or not; a part of a card as the part of its memory. The cost is the hours times the price that the spec had when the instance was made; a claim without a spec costs nothing.'
  static override examples = [
    '<%= config.bin %> usage',
    '<%= config.bin %> usage --by spec --from 30d',
    '<%= config.bin %> usage --from 2026-10-01T00:00:00Z --to 2026-11-01T00:00:00Z -o csv',
  ]
  static override flags = {
    by: Flags.string({description: 'what to sum up by', options: ['user', 'node', 'spec'], default: 'user'}),
    from: Flags.string({
      description: 'begin, as 30d or a time; the first of this month (UTC) unless given',
      helpValue: '<time>',
    }),
    to: Flags.string({description: 'end, as 1d or a time; now unless given', helpValue: '<time>'}),
  }

  async run(): Promise<UsageRow[]> {
    const {flags} = await this.parse(Usage)
    const time = (text: string | undefined, name: string) =>
      text === undefined ? undefined : new Date(readTime(text, name)).toISOString()
    const found = await this.client(flags).call('usage.get', {
      by: flags.by as 'user' | 'node' | 'spec',
      from: time(flags.from, '--from'),
      to: time(flags.to, '--to'),
    })
    const {from, to, total} = found
    const rows = await this.list(found.rows, columns, `Nothing was held from ${from} to ${to}.`)
    this.hint(`${from} to ${to}: ${total.gpuHours.toFixed(2)} GPU-hours, cost ${total.cost.toFixed(2)}`)
    return rows
  }
}
