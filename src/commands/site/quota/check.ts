import {Args} from '@oclif/core'
import {BaseCommand} from '../../../cli/base-command.ts'
import {exitCode} from '../../../cli/exit-codes.ts'
import {bytes} from '../../../cli/output/figures.ts'
import type {QuotaCheck} from '../../../contract/schemas/sites.ts'

export default class SiteQuotaCheck extends BaseCommand {
  static override summary = 'Show whether one more backup of a site has room. Ends with 6 when it has none.'
  static override examples = [
    '<%= config.bin %> site quota check example.com',
    '<%= config.bin %> site quota check 12 -o json',
  ]
  static override args = {site: Args.string({description: 'id, number or name', required: true})}

  async run(): Promise<QuotaCheck> {
    const {args, flags} = await this.parse(SiteQuotaCheck)
    const check = await this.client(flags).call('sites.checkQuota', {id: args.site})
    const {usedBytes, nextBackupBytes, siteQuotaBytes, nodeUsedBytes, nodeQuotaBytes, fitsSite, fitsNode} = check
    await this.show(check, [
      ['Next backup', bytes(nextBackupBytes)],
      ['Site', `${bytes(usedBytes)} of ${bytes(siteQuotaBytes)}${fitsSite ? '' : ': no room'}`],
      ['Node', `${bytes(nodeUsedBytes)} of ${bytes(nodeQuotaBytes)}${fitsNode ? '' : ': no room'}`],
    ])
    if (!fitsSite || !fitsNode) process.exitCode = exitCode.capacity
    return check
  }
}
