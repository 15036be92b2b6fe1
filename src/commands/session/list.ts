import {ListCommand} from '../../cli/list-command.ts'
import {sessionColumns} from '../../cli/listings.ts'
import {openSessions, sessionFlags} from '../../cli/open-sessions.ts'
import type {Session} from '../../contract/schemas/sessions.ts'

export default class SessionList extends ListCommand {
  static override summary = 'List your open SSH, exec and terminal sessions.'
  static override examples = [
    '<%= config.bin %> session list',
    '<%= config.bin %> session list --instance train -o json',
  ]
  static override flags = sessionFlags

  async run(): Promise<Session[]> {
    const {flags} = await this.parse(SessionList)
    const {all, user, instance} = flags
    const found = await openSessions(this.client(flags), {all, user, instance})
    return this.list(found, sessionColumns, 'No session is open.')
  }
}
