import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import {bytes} from '../../cli/output/figures.ts'
import {madeOn} from '../../cli/site-listings.ts'
import type {Backup} from '../../contract/schemas/sites.ts'

export default class BackupGet extends GetCommand {
  static override summary = 'Show one backup: where it lies, how large it is, its checksum.'
  static override examples = [
    '<%= config.bin %> backup get example.com_20251227_082133.tar.zst',
    '<%= config.bin %> backup get 7 --json=path,checksum',
  ]
  static override args = {backup: Args.string({description: 'id, number or file name', required: true})}

  async run(): Promise<Backup> {
    const {args, flags} = await this.parse(BackupGet)
    const backup = await this.client(flags).call('backups.get', {id: args.backup})
    return this.show(backup, [
      ['Number', backup.number],
      ['File', backup.filename],
      ['Site', backup.site],
      ['Node', madeOn(backup)],
      ['Type', backup.type],
      ['Status', backup.status],
      ['Size', bytes(backup.sizeBytes)],
      ['Taken', backup.takenAt],
      ['Path', backup.path],
      ['Provider', backup.provider],
      ['SHA-256', backup.checksum],
      ['Id', backup.id],
    ])
  }
}
