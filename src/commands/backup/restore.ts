import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../cli/storage-words.ts'
import {TaskCommand} from '../../cli/task-command.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class BackupRestore extends TaskCommand {
  static override summary = 'Bring a backup back as a new site, or into the site that it was made of.'
  static override description =
    'Checksums are compared while it is read. A restore that fails leaves no new site, and an old one as it was. What lies in a bucket comes back on any node, also when its own is gone; what lies in a folder, on a node that has that folder. Who administers no node brings his site back where it was, under its name.'
  static override examples = [
    '<%= config.bin %> backup restore 7 --site shop-copy --wait',
    '<%= config.bin %> backup restore 7 --site shop --confirm shop --wait',
    '<%= config.bin %> backup restore 7 --site shop --node gpu-04 --wait',
  ]
  static override args = {backup: Args.string({description: 'id, number or file name', required: true})}
  static override flags = {
    wait: taskFlags.wait,
    site: Flags.string({description: 'name of the site: a new one, or the old one', required: true}),
    node: Flags.string({description: 'where a new site is made; the node of the old one unless given'}),
    pool: Flags.string({
      description: 'on which pool; the only one of that node, or that of the old site, unless given',
    }),
    confirm: Flags.string({description: 'name of the old site once more', helpValue: '<name>'}),
  }

  async run(): Promise<OutputOf<'backups.restore'>> {
    const {args, flags} = await this.parse(BackupRestore)
    const client = this.client(flags)
    const {site, node, pool} = flags
    const begun = await this.confirmed(flags.confirm, confirm =>
      client.call('backups.restore', {id: args.backup, site, node, pool, confirm}),
    )
    const words = {doing: `Restoring ${begun.task.object} into ${site}`, done: `Site ${site} is restored.`}
    return this.started(client, begun, {flags, ...words})
  }
}
