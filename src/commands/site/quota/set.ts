import {Args} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import {bytes} from '../../../cli/output/figures.ts'
import {readMemoryMiB} from '../../../cli/units.ts'
import type {Site} from '../../../contract/schemas/sites.ts'

export default class SiteQuotaSet extends ChangeCommand {
  static override summary = 'Set what a site may use.'
  static override description = 'The quotas of all sites of a node fit into that of the node: `node quota set`.'
  static override examples = [
    '<%= config.bin %> site quota set example.com 15GB',
    '<%= config.bin %> site quota set 12 512MiB',
  ]
  static override args = {
    site: Args.string({description: 'id, number or name', required: true}),
    quota: Args.string({description: 'as 15GB or 512MiB; a GB is 2^30 bytes', required: true, ignoreStdin: true}),
  }

  async run(): Promise<Site> {
    const {args, flags} = await this.parse(SiteQuotaSet)
    const quotaBytes = readMemoryMiB(args.quota, 'QUOTA') * 2 ** 20
    const site = await this.client(flags).call('sites.setQuota', {id: args.site, quotaBytes})
    this.say(`${site.name} on ${site.node} may use ${bytes(site.quotaBytes)}.`, site)
    if (site.quotaState === 'counted') this.hint('Its storage has no quotas: more is shown, and not stopped.')
    if (site.quotaState === 'pending') this.hint(`${site.node} does not answer; it hears of this when it is back.`)
    return site
  }
}
