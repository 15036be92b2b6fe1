import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {sessionColumns} from '../../cli/listings.ts'
import type {Session} from '../../contract/schemas/sessions.ts'

export default class SessionList extends ListCommand {
  static override summary = 'List your open SSH, exec and terminal sessions.'
  static override examples = ['<%= config.bin %> session list', '<%= config.bin %> session list --all -o json']
  static override flags = {all: Flags.boolean({description: 'of all users (administrators)'})}

  async run(): Promise<Session[]> {
    const {flags} = await this.parse(SessionList)
    const found = await this.client(flags).call('sessions.list', {all: flags.all})
    return this.list(found, sessionColumns, 'No session is open.')
  }
}
