import {Args} from '@oclif/core'
import type {Several} from '../../../cli/base-command.ts'
import {ChangeCommand} from '../../../cli/change-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class BackupTargetDelete extends ChangeCommand {
  static override summary = 'Forget a place for backups. Refused while backups lie there.'
  static override examples = [
    '<%= config.bin %> backup target delete disk',
    '<%= config.bin %> backup target rm disk s3-main',
  ]
  static override strict = false
  static override args = {target: Args.string({description: 'id, number or name; may be repeated', required: true})}

  async run(): Promise<Several<OutputOf<'backupTargets.delete'>>> {
    const {argv, flags} = await this.parse(BackupTargetDelete)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const done = await client.call('backupTargets.delete', {id})
      this.say(`${id} is forgotten.`)
      return done
    })
  }
}
