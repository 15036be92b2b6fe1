import {ListCommand} from '../../cli/list-command.ts'
import {quotaWord} from '../../cli/listings.ts'
import type {Column} from '../../cli/output/column.ts'
import {quotaUser, userOf} from '../../cli/quota-input.ts'
import type {QuotaStatus as Status} from '../../contract/schemas/quotas.ts'

const columns: Column<Status['claims'][number]>[] = [
  {name: 'claim', value: ({name}) => name},
  {name: 'phase', value: ({phase}) => phase},
  {name: 'gpus', value: ({gpus}) => gpus},
  {name: 'priority', value: ({priority}) => priority},
  {name: 'id', value: ({id}) => id, wide: true},
]

export default class QuotaStatus extends ListCommand {
  static override summary = 'Show which claims use up a quota.'
  static override description = 'Every claim that is not over counts; the instance may be stopped.'
  static override examples = ['<%= config.bin %> quota status', '<%= config.bin %> quota status ada -o json']
  static override args = quotaUser.args
  static override flags = quotaUser.flags

  async run(): Promise<Status> {
    const {args, flags} = await this.parse(QuotaStatus)
    const status = await this.client(flags).call('quotas.status', {user: userOf(args.user, flags.user)})
    const {user, gpus, gpusHeld, isOver, claims} = status
    this.log(`${user} holds ${gpusHeld} of ${quotaWord(gpus)} GPUs${isOver ? ': more than allowed' : ''}.`)
    if (claims.length > 0) await this.list(claims, columns, '')
    return status
  }
}
