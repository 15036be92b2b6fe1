import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../cli/storage-words.ts'
import {TaskCommand} from '../../cli/task-command.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class BackupCreate extends TaskCommand {
  static override summary = 'Back a site up: from a snapshot, packed, checked and recorded.'
  static override description =
    'A tar.zst of all files; with --incremental the difference to the last one of this kind, where the pool can send it (ZFS), and a whole one again after as many as the site keeps copies. Older backups than the site’s retention go afterwards, and never one that a kept one builds on.'
  static override examples = [
    '<%= config.bin %> backup create shop.example.com --to s3-main --wait',
    '<%= config.bin %> backup create shop.example.com --to disk --incremental',
  ]
  static override args = {site: Args.string({description: 'id, number or name of the site', required: true})}
  static override flags = {
    wait: taskFlags.wait,
    to: Flags.string({description: 'name of the backup target', required: true, helpValue: '<target>'}),
    incremental: Flags.boolean({description: 'only what changed; the first one is whole'}),
  }

  async run(): Promise<OutputOf<'backups.create'>> {
    const {args, flags} = await this.parse(BackupCreate)
    const client = this.client(flags)
    const input = {site: args.site, target: flags.to, incremental: flags.incremental || undefined}
    const begun = await client.call('backups.create', input)
    const {object} = begun.task
    return this.started(client, begun, {flags, doing: `Backing up as ${object}`, done: `${object} is in ${flags.to}.`})
  }
}
