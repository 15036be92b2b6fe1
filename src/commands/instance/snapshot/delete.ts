import {Args} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class InstanceSnapshotDelete extends ChangeCommand {
  static override summary = 'Forget a snapshot; the instance stays as it is.'
  static override examples = [
    '<%= config.bin %> instance snapshot delete train before-upgrade',
    '<%= config.bin %> instance snapshot rm train 2026-01-31T07-05-09Z',
  ]
  static override args = {
    instance: Args.string({description: 'id or name', required: true}),
    snapshot: Args.string({description: 'name of the snapshot', required: true, ignoreStdin: true}),
  }

  async run(): Promise<OutputOf<'instances.deleteSnapshot'>> {
    const {args, flags} = await this.parse(InstanceSnapshotDelete)
    const {instance: id, snapshot} = args
    const answer = await this.client(flags).call('instances.deleteSnapshot', {id, snapshot})
    this.say(`Snapshot ${snapshot} of ${id} is gone.`)
    return answer
  }
}
