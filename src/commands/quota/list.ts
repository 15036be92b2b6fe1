import {ListCommand} from '../../cli/list-command.ts'
import {quotaColumns} from '../../cli/listings.ts'
import type {Quota} from '../../contract/schemas/quotas.ts'

export default class QuotaList extends ListCommand {
  static override summary = 'List what users may hold, and what they hold; for who is no administrator only the own.'
  static override examples = ['<%= config.bin %> quota list', '<%= config.bin %> quota list -o json']

  async run(): Promise<Quota[]> {
    const {flags} = await this.parse(QuotaList)
    const found = await this.client(flags).call('quotas.list', {})
    return this.list(found, quotaColumns, 'There are no users.')
  }
}
