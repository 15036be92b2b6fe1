import {ListCommand} from '../../../cli/list-command.ts'
import {backupTargetColumns} from '../../../cli/site-listings.ts'
import type {BackupTarget} from '../../../contract/schemas/backups.ts'

export default class BackupTargetList extends ListCommand {
  static override summary = 'List the places for backups.'
  static override examples = ['<%= config.bin %> backup target list', '<%= config.bin %> backup target list -o json']

  async run(): Promise<BackupTarget[]> {
    const {flags} = await this.parse(BackupTargetList)
    const found = await this.client(flags).call('backupTargets.list', {})
    return this.list(found, backupTargetColumns, 'There are no places for backups.')
  }
}
