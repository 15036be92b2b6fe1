import {ListCommand} from '../../../cli/list-command.ts'
import {joinTokenColumns} from '../../../cli/listings.ts'
import type {JoinToken} from '../../../contract/schemas/auth.ts'

export default class NodeJoinTokenList extends ListCommand {
  static override summary = 'List the tokens with which machines join unattended.'

  static override examples = [
    '<%= config.bin %> node join-token list',
    '<%= config.bin %> node join-token list -o json',
  ]

  async run(): Promise<JoinToken[]> {
    const {flags} = await this.parse(NodeJoinTokenList)
    const found = await this.client(flags).call('joinTokens.list', {})
    return this.list(found, joinTokenColumns, 'There are no join tokens.')
  }
}
