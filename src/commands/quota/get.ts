import {GetCommand} from '../../cli/list-command.ts'
import {quotaWord} from '../../cli/listings.ts'
import {quotaUser, userOf} from '../../cli/quota-input.ts'
import type {Quota} from '../../contract/schemas/quotas.ts'

export default class QuotaGet extends GetCommand {
  static override summary = 'Show how many GPUs a user may hold, and how many he holds.'
  static override examples = ['<%= config.bin %> quota get', '<%= config.bin %> quota get --user ada --json=gpusLeft']
  static override args = quotaUser.args
  static override flags = quotaUser.flags

  async run(): Promise<Quota> {
    const {args, flags} = await this.parse(QuotaGet)
    const quota = await this.client(flags).call('quotas.get', {user: userOf(args.user, flags.user)})
    return this.show(quota, [
      ['User', quota.user],
      ['GPUs', quotaWord(quota.gpus)],
      ['Held', quota.gpusHeld],
      ['Left', quotaWord(quota.gpusLeft)],
      ['Highest priority', quota.maxPriority],
    ])
  }
}
