import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../../cli/storage-words.ts'
import {TaskCommand} from '../../../cli/task-command.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class InstanceSnapshotCreate extends TaskCommand {
  static override summary = 'Keep the files of an instance as they are now, without its volumes.'
  static override description =
    'They become an image on the node of the instance, whose container stands still while they are read. What lies in volumes and sites is not in it, nor is what is in memory. It goes when the instance is deleted. With `--push` it is also sent to a registry, where any engine can pull it: with the login that its node has for that, and so by administrators only. Of what the instance was given its command stays in that image, and the names of its variables and labels without their values. When the push fails no snapshot is kept. `gpuctl instance snapshot INSTANCE` does the same.'
  static override examples = [
    '<%= config.bin %> instance snapshot create train before-upgrade --wait',
    '<%= config.bin %> instance snapshot train',
    '<%= config.bin %> instance snapshot create train --push ghcr.io/team/train:v1 --wait',
  ]
  static override args = {
    instance: Args.string({description: 'id or name', required: true}),
    name: Args.string({description: 'name of the snapshot; made from the time unless given', ignoreStdin: true}),
  }
  static override flags = {
    ...taskFlags,
    push: Flags.string({description: 'send it there as well', helpValue: '<registry/repo[:tag]>'}),
  }

  async run(): Promise<OutputOf<'instances.snapshot'>> {
    const {args, flags} = await this.parse(InstanceSnapshotCreate)
    const client = this.client(flags)
    const begun = await client.call('instances.snapshot', {id: args.instance, name: args.name, push: flags.push})
    const {name, instance} = begun.snapshot
    const words = {
      doing: `Keeping ${instance} as ${name}`,
      done: flags.push
        ? `Snapshot ${name} of ${instance} is kept, without volumes, and pushed as ${flags.push}.`
        : `Snapshot ${name} of ${instance} is kept, without volumes.`,
    }
    return this.started(client, begun, {flags, ...words})
  }
}
