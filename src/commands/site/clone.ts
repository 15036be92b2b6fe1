import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../cli/storage-words.ts'
import {TaskCommand} from '../../cli/task-command.ts'
import {readMemoryMiB} from '../../cli/units.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class SiteClone extends TaskCommand {
  static override summary = 'Make a new site of what a site was at a snapshot.'
  static override description =
    'It takes room only for what changes. While it is there, the snapshot and the first site cannot be deleted.'
  static override examples = [
    '<%= config.bin %> site clone datasets before-cleaning datasets-2 --wait',
    '<%= config.bin %> site clone datasets before-cleaning trial --quota 50GB --owner alice',
  ]
  static override args = {
    site: Args.string({description: 'id, number or name', required: true}),
    snapshot: Args.string({description: 'name of the snapshot', required: true, ignoreStdin: true}),
    name: Args.string({description: 'name of the new site', required: true, ignoreStdin: true}),
  }
  static override flags = {
    ...taskFlags,
    quota: Flags.string({description: 'as 200GB; that of the first site unless given', helpValue: '<size>'}),
    owner: Flags.string({description: 'user whose it is; you unless given', helpValue: '<user>'}),
  }

  async run(): Promise<OutputOf<'sites.clone'>> {
    const {args, flags} = await this.parse(SiteClone)
    const {site: id, snapshot, name} = args
    const quotaBytes = flags.quota === undefined ? undefined : readMemoryMiB(flags.quota, '--quota') * 2 ** 20
    const client = this.client(flags)
    const input = {id, snapshot, name, quotaBytes, owner: flags.owner}
    const begun = await client.call('sites.clone', input)
    const words = {doing: `Making site ${name} of ${id}`, done: `Site ${name} is ready.`}
    return this.started(client, begun, {flags, ...words})
  }
}
