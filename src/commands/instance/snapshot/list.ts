import {Args} from '@oclif/core'
import {ListCommand} from '../../../cli/list-command.ts'
import {instanceSnapshotColumns} from '../../../cli/listings.ts'
import type {InstanceSnapshot} from '../../../contract/schemas/instance-snapshots.ts'

export default class InstanceSnapshotList extends ListCommand {
  static override summary = 'List the snapshots of an instance, the oldest first.'
  static override examples = [
    '<%= config.bin %> instance snapshot list train',
    '<%= config.bin %> instance snapshot ls train -o json',
  ]
  static override args = {instance: Args.string({description: 'id or name', required: true})}

  async run(): Promise<InstanceSnapshot[]> {
    const {args, flags} = await this.parse(InstanceSnapshotList)
    const found = await this.client(flags).call('instances.snapshots', {id: args.instance})
    return this.list(found, instanceSnapshotColumns, `There are no snapshots of ${args.instance}.`)
  }
}
