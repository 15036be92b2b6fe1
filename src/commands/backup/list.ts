import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {backupColumns} from '../../cli/site-listings.ts'
import type {Backup} from '../../contract/schemas/sites.ts'

export default class BackupList extends BaseCommand {
  static override summary = 'List backups of your nodes, the newest first.'
  static override examples = [
    '<%= config.bin %> backup list --node gpu-03',
    '<%= config.bin %> backup list --site example.com --limit 1',
    '<%= config.bin %> backups ls -o json',
  ]
  static override flags = {
    node: Flags.string({description: 'only those of this node'}),
    site: Flags.string({description: 'only those of this site'}),
    limit: Flags.integer({description: 'at most so many; 50 unless given', min: 1, max: 1000, default: 50}),
    skip: Flags.integer({description: 'leave out so many', min: 0}),
  }

  async run(): Promise<Backup[]> {
    const {flags} = await this.parse(BackupList)
    const {node, site, limit, skip: offset} = flags
    const found = await this.client(flags).call('backups.list', {node, site, limit, offset})
    return this.list(found, backupColumns, 'There are no backups.')
  }
}
