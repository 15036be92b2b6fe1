import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../../cli/base-command.ts'
import {exitCode} from '../../../cli/exit-codes.ts'
import {bytes, percent} from '../../../cli/output/figures.ts'
import {siteUseColumns} from '../../../cli/site-listings.ts'
import type {QuotaStatus} from '../../../contract/schemas/sites.ts'

export default class NodeQuotaStatus extends BaseCommand {
  static override summary = 'Show which sites use up the storage quota of a node.'
  static override description = 'From 80 % on a site is worth a look; over is only what uses more than its quota.'
  static override examples = [
    '<%= config.bin %> node quota status gpu-03',
    '<%= config.bin %> node quota status gpu-03 --check || echo "gpu-03 is over its quota"',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {check: Flags.boolean({description: 'end with 6 when the node or one of its sites is over'})}

  async run(): Promise<QuotaStatus> {
    const {args, flags} = await this.parse(NodeQuotaStatus)
    const status = await this.client(flags).call('nodes.quotaStatus', {id: args.node})
    const {node, usedBytes, storageQuotaGb, usagePercent, isOverQuota, sitesOverQuota, sitesWarning} = status
    const use = `${bytes(usedBytes)} of ${storageQuotaGb} GB, ${percent(usagePercent)}`
    this.log(`The sites of ${node} use ${use}${isOverQuota ? ': more than allowed' : ''}.`)
    if (sitesOverQuota + sitesWarning > 0) {
      this.log(`Sites over their own quota: ${sitesOverQuota}; from 80 % on: ${sitesWarning}.`)
    }
    if (status.sites.length > 0) await this.list(status.sites, siteUseColumns, '')
    if (flags.check && (isOverQuota || sitesOverQuota > 0)) process.exitCode = exitCode.capacity
    return status
  }
}
