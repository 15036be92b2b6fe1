import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {siteColumns} from '../../cli/site-listings.ts'
import type {Site} from '../../contract/schemas/sites.ts'

export default class SiteList extends ListCommand {
  static override summary = 'List the sites on your nodes with their use and quota.'
  static override examples = [
    '<%= config.bin %> site list',
    '<%= config.bin %> site list --node gpu-03 -o wide',
    '<%= config.bin %> sites ls -o json',
  ]
  static override flags = {
    node: Flags.string({description: 'only those of this node'}),
    skip: Flags.integer({description: 'leave out so many', min: 0}),
  }

  async run(): Promise<Site[]> {
    const {flags} = await this.parse(SiteList)
    const client = this.client(flags)
    const {node, skip = 0} = flags
    const found = await this.pages(flags, ({offset = 0, ...page}) =>
      client.call('sites.list', {node, ...page, offset: offset + skip || undefined}),
    )
    return this.list(found, siteColumns, 'There are no sites.')
  }
}
