import {Args} from '@oclif/core'
import {GetCommand} from '../../../cli/list-command.ts'
import {bytes} from '../../../cli/output/figures.ts'
import type {NodeQuota} from '../../../contract/schemas/sites.ts'

export default class NodeQuotaGet extends GetCommand {
  static override summary = 'Show what the sites of a node may use of its storage.'
  static override examples = [
    '<%= config.bin %> node quota get gpu-03',
    '<%= config.bin %> node quota get gpu-03 --json=storageQuotaGb',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}

  async run(): Promise<NodeQuota> {
    const {args, flags} = await this.parse(NodeQuotaGet)
    const quota = await this.client(flags).call('nodes.quota', {id: args.node})
    return this.show(quota, [
      ['Node', quota.node],
      ['Quota', `${quota.storageQuotaGb} GB`],
      ['Used', bytes(quota.usedBytes)],
      ['Available at most', `${quota.totalAvailableGb} GB`],
    ])
  }
}
