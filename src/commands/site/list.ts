import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {siteColumns} from '../../cli/site-listings.ts'
import type {Site} from '../../contract/schemas/sites.ts'

export default class SiteList extends BaseCommand {
  static override summary = 'List the sites on your nodes with their use and quota.'
  static override examples = [
    '<%= config.bin %> site list',
    '<%= config.bin %> site list --node gpu-03 -o wide',
    '<%= config.bin %> sites ls -o json',
  ]
  static override flags = {
    node: Flags.string({description: 'only those of this node'}),
    limit: Flags.integer({description: 'at most so many', min: 1, max: 1000}),
    skip: Flags.integer({description: 'leave out so many', min: 0}),
  }

  async run(): Promise<Site[]> {
    const {flags} = await this.parse(SiteList)
    const {node, limit, skip: offset} = flags
    const found = await this.client(flags).call('sites.list', {node, limit, offset})
    return this.list(found, siteColumns, 'There are no sites.')
  }
}
