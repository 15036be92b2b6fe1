import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {backupColumns} from '../../cli/site-listings.ts'
import type {Backup} from '../../contract/schemas/sites.ts'

export default class BackupList extends ListCommand {
  static override summary = 'List backups of your sites and nodes, the newest first; also of nodes that are gone.'
  static override examples = [
    '<%= config.bin %> backup list --node gpu-03',
    '<%= config.bin %> backup list --site example.com --limit 1',
    '<%= config.bin %> backups ls -o json',
  ]
  static override flags = {
    node: Flags.string({description: 'only those of this node'}),
    site: Flags.string({description: 'only those of this site'}),
    skip: Flags.integer({description: 'leave out so many', min: 0}),
  }

  async run(): Promise<Backup[]> {
    const {flags} = await this.parse(BackupList)
    const client = this.client(flags)
    const {node, site, skip = 0, limit = 50} = flags
    const found = await this.pages({limit}, ({offset = 0, ...page}) =>
      client.call('backups.list', {node, site, ...page, offset: offset + skip || undefined}),
    )
    return this.list(found, backupColumns, 'There are no backups.')
  }
}
