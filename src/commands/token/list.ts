import {ListCommand} from '../../cli/list-command.ts'
import {tokenColumns} from '../../cli/listings.ts'
import type {ApiToken} from '../../contract/schemas/auth.ts'

export default class TokenList extends ListCommand {
  static override summary = 'List your API tokens.'

  static override examples = ['<%= config.bin %> token list', '<%= config.bin %> token list -o json']

  async run(): Promise<ApiToken[]> {
    const {flags} = await this.parse(TokenList)
    const found = await this.client(flags).call('tokens.list', {})
    return this.list(found, tokenColumns, 'You have no API tokens.')
  }
}
