import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import {bytes} from '../../cli/output/figures.ts'
import type {Site} from '../../contract/schemas/sites.ts'

export default class SiteGet extends GetCommand {
  static override summary = 'Show one site.'
  static override examples = ['<%= config.bin %> site get example.com', '<%= config.bin %> site get 12 -o json']
  static override args = {site: Args.string({description: 'id, number or name', required: true})}

  async run(): Promise<Site> {
    const {args, flags} = await this.parse(SiteGet)
    const site = await this.client(flags).call('sites.get', {id: args.site})
    return this.show(site, [
      ['Name', site.name],
      ['Node', site.node],
      ['Owner', site.owner],
      ['Status', site.status],
      ['Used', bytes(site.usedBytes)],
      ['Quota', `${bytes(site.quotaBytes)} (${site.quotaState})`],
      ['Pool', site.pool],
      ['Path', site.wpPath],
      ['Database', site.dbName],
      ['Schedule', [site.scheduleFrequency, site.scheduleDays, site.scheduleTime].filter(Boolean).join(' ')],
      ['Copies kept', site.retentionCopies],
      ['Days kept', site.expireDays],
      ['Last backup', site.lastBackupAt],
      ['Next run', site.nextRunAt],
      ['Id', site.id],
    ])
  }
}
