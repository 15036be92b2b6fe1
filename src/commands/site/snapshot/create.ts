import {Args} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import type {Snapshot} from '../../../contract/schemas/sites.ts'

export default class SiteSnapshotCreate extends ChangeCommand {
  static override summary = 'Keep what a site is now.'
  static override examples = [
    '<%= config.bin %> site snapshot create datasets',
    '<%= config.bin %> site snapshot create datasets before-cleaning',
  ]
  static override args = {
    site: Args.string({description: 'id, number or name', required: true}),
    name: Args.string({description: 'name of the snapshot; made from the time unless given', ignoreStdin: true}),
  }

  async run(): Promise<Snapshot> {
    const {args, flags} = await this.parse(SiteSnapshotCreate)
    const made = await this.client(flags).call('sites.snapshot', {id: args.site, name: args.name})
    this.say(`Snapshot ${made.name} of ${made.site} is kept.`)
    this.hint(`Back to it: gpuctl site snapshot restore ${made.site} ${made.name}`)
    return made
  }
}
