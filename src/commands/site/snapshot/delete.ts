import {Args} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class SiteSnapshotDelete extends ChangeCommand {
  static override summary = 'Forget a snapshot; the site stays as it is.'
  static override examples = [
    '<%= config.bin %> site snapshot delete datasets before-cleaning',
    '<%= config.bin %> site snapshot rm 12 2026-01-31T07-05-09Z',
  ]
  static override args = {
    site: Args.string({description: 'id, number or name', required: true}),
    snapshot: Args.string({description: 'name of the snapshot', required: true, ignoreStdin: true}),
  }

  async run(): Promise<OutputOf<'sites.deleteSnapshot'>> {
    const {args, flags} = await this.parse(SiteSnapshotDelete)
    const {site: id, snapshot} = args
    const answer = await this.client(flags).call('sites.deleteSnapshot', {id, snapshot})
    this.say(`Snapshot ${snapshot} of ${id} is gone.`)
    return answer
  }
}
