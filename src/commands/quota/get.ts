import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import {quotaWord} from '../../cli/listings.ts'
import type {Quota} from '../../contract/schemas/quotas.ts'

export default class QuotaGet extends GetCommand {
  static override summary = 'Show how many GPUs a user may hold, and how many he holds.'
  static override examples = ['<%= config.bin %> quota get', '<%= config.bin %> quota get ada --json=gpusLeft']
  static override args = {user: Args.string({description: 'user name or id; yourself unless given', ignoreStdin: true})}

  async run(): Promise<Quota> {
    const {args, flags} = await this.parse(QuotaGet)
    const quota = await this.client(flags).call('quotas.get', {user: args.user})
    return this.show(quota, [
      ['User', quota.user],
      ['GPUs', quotaWord(quota.gpus)],
      ['Held', quota.gpusHeld],
      ['Left', quotaWord(quota.gpusLeft)],
      ['Highest priority', quota.maxPriority],
    ])
  }
}
