import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class SiteSnapshotRestore extends TaskCommand {
  static override summary = 'Make a site again what it was at a snapshot.'
  static override description =
    'What came later is lost, later snapshots too. Refused while an instance mounts the site. To keep both, make a new site: `site clone`.'
  static override examples = [
    '<%= config.bin %> site snapshot restore datasets before-cleaning --confirm datasets --wait',
    '<%= config.bin %> site snapshot restore datasets before-cleaning --dry-run',
  ]
  static override args = {
    site: Args.string({description: 'id, number or name', required: true}),
    snapshot: Args.string({description: 'name of the snapshot', required: true, ignoreStdin: true}),
  }
  static override flags = {
    ...taskFlags,
    confirm: Flags.string({description: 'name of the site once more', helpValue: '<name>'}),
  }

  async run(): Promise<OutputOf<'sites.restore'>> {
    const {args, flags} = await this.parse(SiteSnapshotRestore)
    const {site: id, snapshot} = args
    const client = this.client(flags)
    const input = {id, snapshot}
    const begun = await this.confirmed(flags.confirm, confirm => client.call('sites.restore', {...input, confirm}))
    const words = {doing: `Restoring site ${id}`, done: `Site ${id} is what it was at ${snapshot}.`}
    return this.started(client, begun, {flags, ...words})
  }
}
