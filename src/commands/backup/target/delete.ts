import {Args} from '@oclif/core'
import {BaseCommand} from '../../../cli/base-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class BackupTargetDelete extends BaseCommand {
  static override summary = 'Forget a place for backups. Refused while backups lie there.'
  static override examples = ['<%= config.bin %> backup target delete disk']
  static override args = {target: Args.string({description: 'id, number or name', required: true})}

  async run(): Promise<OutputOf<'backupTargets.delete'>> {
    const {args, flags} = await this.parse(BackupTargetDelete)
    const done = await this.client(flags).call('backupTargets.delete', {id: args.target})
    this.say(`${args.target} is forgotten.`)
    return done
  }
}
