import {Args} from '@oclif/core'
import {ListCommand} from '../../../cli/list-command.ts'
import {snapshotColumns} from '../../../cli/site-listings.ts'
import type {Snapshot} from '../../../contract/schemas/sites.ts'

export default class SiteSnapshotList extends ListCommand {
  static override summary = 'List the snapshots of a site, the oldest first.'
  static override examples = [
    '<%= config.bin %> site snapshot list datasets',
    '<%= config.bin %> site snapshot ls datasets -o json',
  ]
  static override args = {site: Args.string({description: 'id, number or name', required: true})}

  async run(): Promise<Snapshot[]> {
    const {args, flags} = await this.parse(SiteSnapshotList)
    const found = await this.client(flags).call('sites.snapshots', {id: args.site})
    return this.list(found, snapshotColumns, `There are no snapshots of ${args.site}.`)
  }
}
