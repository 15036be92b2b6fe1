import {ListCommand} from '../../cli/list-command.ts'
import {userColumns} from '../../cli/listings.ts'
import type {User} from '../../contract/schemas/auth.ts'

export default class UserList extends ListCommand {
  static override summary = 'List the user accounts.'

  static override examples = ['<%= config.bin %> user list', '<%= config.bin %> user list -o name']

  async run(): Promise<User[]> {
    const {flags} = await this.parse(UserList)
    const found = await this.client(flags).call('users.list', {})
    return this.list(found, userColumns, 'There are no users.')
  }
}
