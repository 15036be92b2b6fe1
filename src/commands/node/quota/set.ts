import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import {readGigabytes} from '../../../cli/site-listings.ts'
import type {NodeQuota} from '../../../contract/schemas/sites.ts'

export default class NodeQuotaSet extends ChangeCommand {
  static override summary = 'Set what the sites of a node may use of its storage.'
  static override description =
    'A GB is 2^30 bytes. A quota below what is used takes nothing away: the node is over its quota until something goes.'
  static override examples = [
    '<%= config.bin %> node quota set gpu-03 200GB',
    '<%= config.bin %> node quota set gpu-03 1500GB --available 2TB',
  ]
  static override args = {
    node: Args.string({description: 'id or name', required: true}),
    quota: Args.string({description: 'as 200GB or 2TB; a plain number is GB', required: true, ignoreStdin: true}),
  }
  static override flags = {
    available: Flags.string({description: 'what the node has to give at most', helpValue: '<size>'}),
  }

  async run(): Promise<NodeQuota> {
    const {args, flags} = await this.parse(NodeQuotaSet)
    const quota = await this.client(flags).call('nodes.setQuota', {
      id: args.node,
      storageQuotaGb: readGigabytes(args.quota, 'QUOTA'),
      totalAvailableGb: flags.available === undefined ? undefined : readGigabytes(flags.available, '--available'),
    })
    const words = `The sites of ${quota.node} may use ${quota.storageQuotaGb} GB of ${quota.totalAvailableGb} GB.`
    this.say(words, {id: quota.nodeId, name: quota.node})
    return quota
  }
}
