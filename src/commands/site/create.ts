import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../cli/storage-words.ts'
import {TaskCommand} from '../../cli/task-command.ts'
import {readMemoryMiB} from '../../cli/units.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class SiteCreate extends TaskCommand {
  static override summary = 'Make a site: a volume on a pool of a node, with a quota and an owner.'
  static override description =
    'Instances of its owner mount it: `claim submit --volume NAME:/data`. The quotas of all sites of a node fit into that of the node: `node quota set`.'
  static override examples = [
    '<%= config.bin %> site create datasets --node gpu-03 --quota 200GB --wait',
    '<%= config.bin %> site create results --node gpu-03 --pool tank --quota 50GB --owner alice',
    '<%= config.bin %> site create datasets --node gpu-03 --quota 200GB --dry-run',
  ]
  static override args = {name: Args.string({description: 'name of the site', required: true})}
  static override flags = {
    ...taskFlags,
    node: Flags.string({description: 'id or name of the node', required: true}),
    pool: Flags.string({description: 'pool of the node; needed where it has several'}),
    quota: Flags.string({description: 'as 200GB or 512MiB; a GB is 2^30 bytes', required: true, helpValue: '<size>'}),
    owner: Flags.string({description: 'user whose it is; you unless given', helpValue: '<user>'}),
  }

  async run(): Promise<OutputOf<'sites.create'>> {
    const {args, flags} = await this.parse(SiteCreate)
    const {node, pool, owner} = flags
    const quotaBytes = readMemoryMiB(flags.quota, '--quota') * 2 ** 20
    const client = this.client(flags)
    const begun = await client.call('sites.create', {
      name: args.name,
      ...{node, pool, owner, quotaBytes},
    })
    const words = {doing: `Making site ${args.name}`, done: `Site ${args.name} is ready on ${node}.`}
    return this.started(client, begun, {flags, ...words})
  }
}
