import {Args} from '@oclif/core'
import {taskFlags} from '../../cli/storage-words.ts'
import {TaskCommand} from '../../cli/task-command.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class BackupVerify extends TaskCommand {
  static override summary = 'Read a backup again, all of it with what it builds on, and compare checksums.'
  static override examples = [
    '<%= config.bin %> backup verify 7 --wait',
    '<%= config.bin %> backup verify shop_20251227_082204_1f0c2a.tar.zst -o json',
  ]
  static override args = {backup: Args.string({description: 'id, number or file name', required: true})}
  static override flags = {wait: taskFlags.wait}

  async run(): Promise<OutputOf<'backups.verify'>> {
    const {args, flags} = await this.parse(BackupVerify)
    const client = this.client(flags)
    const begun = await client.call('backups.verify', {id: args.backup})
    const words = {doing: `Reading ${begun.task.object}`, done: `${begun.task.object} is what was written.`}
    return this.started(client, begun, {flags, ...words})
  }
}
