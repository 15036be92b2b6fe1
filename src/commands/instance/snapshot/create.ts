import {Args} from '@oclif/core'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class InstanceSnapshotCreate extends TaskCommand {
  static override summary = 'Keep the files of an instance as they are now, without its volumes.'
  static override description =
    'They become an image on the node of the instance, whose container stands still while they are read. What lies in volumes and sites is not in it, nor is what is in memory. It goes when the instance is deleted. `gpuctl instance snapshot INSTANCE` does the same.'
  static override examples = [
    '<%= config.bin %> instance snapshot create train before-upgrade --wait',
    '<%= config.bin %> instance snapshot train',
  ]
  static override args = {
    instance: Args.string({description: 'id or name', required: true}),
    name: Args.string({description: 'name of the snapshot; made from the time unless given', ignoreStdin: true}),
  }
  static override flags = {...taskFlags}

  async run(): Promise<OutputOf<'instances.snapshot'>> {
    const {args, flags} = await this.parse(InstanceSnapshotCreate)
    const client = this.client(flags)
    const begun = await client.call('instances.snapshot', {id: args.instance, name: args.name})
    const {name, instance} = begun.snapshot
    const words = {
      doing: `Keeping ${instance} as ${name}`,
      done: `Snapshot ${name} of ${instance} is kept, without volumes.`,
    }
    return this.started(client, begun, {flags, ...words})
  }
}
