import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../cli/storage-words.ts'
import {TaskCommand} from '../../cli/task-command.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class SiteDelete extends TaskCommand {
  static override summary = 'Destroy a site with all that is in it.'
  static override description = 'Its snapshots go with it. Refused while an instance mounts it.'
  static override examples = [
    '<%= config.bin %> site delete datasets --confirm datasets --wait',
    '<%= config.bin %> site delete datasets --dry-run',
  ]
  static override args = {site: Args.string({description: 'id, number or name', required: true})}
  static override flags = {
    ...taskFlags,
    confirm: Flags.string({description: 'name of the site once more', helpValue: '<name>'}),
  }

  async run(): Promise<OutputOf<'sites.delete'>> {
    const {args, flags} = await this.parse(SiteDelete)
    const client = this.client(flags)
    const input = {id: args.site}
    const begun = await this.confirmed(flags.confirm, confirm => client.call('sites.delete', {...input, confirm}))
    const words = {doing: `Destroying site ${args.site}`, done: `Site ${args.site} is destroyed.`}
    return this.started(client, begun, {flags, ...words})
  }
}
