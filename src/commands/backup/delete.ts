import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../cli/storage-words.ts'
import {TaskCommand} from '../../cli/task-command.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class BackupDelete extends TaskCommand {
  static override summary = 'Delete a backup with its file.'
  static override description =
    'Where nobody gets at the file any more, since it lies in a folder of a node that is gone, its record alone goes.'
  static override examples = [
    '<%= config.bin %> backup delete 7 --confirm shop_20251227_082204_1f0c2a.tar.zst --wait',
    '<%= config.bin %> backup rm 7 --confirm shop_20251227_082204_1f0c2a.tar.zst',
  ]
  static override args = {backup: Args.string({description: 'id, number or file name', required: true})}
  static override flags = {
    wait: taskFlags.wait,
    confirm: Flags.string({description: 'its file name once more', helpValue: '<file>'}),
  }

  async run(): Promise<OutputOf<'backups.delete'>> {
    const {args, flags} = await this.parse(BackupDelete)
    const client = this.client(flags)
    const begun = await this.confirmed(flags.confirm, confirm =>
      client.call('backups.delete', {id: args.backup, confirm}),
    )
    const words = {doing: `Deleting ${begun.task.object}`, done: `${begun.task.object} is deleted.`}
    return this.started(client, begun, {flags, ...words})
  }
}
