import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import {findUser, userLines} from '../../cli/user-account.ts'
import type {User} from '../../contract/schemas/auth.ts'

export default class UserGet extends GetCommand {
  static override summary = 'Show a user account.'
  static override examples = ['<%= config.bin %> user get ada', '<%= config.bin %> user show ada -o json']
  static override args = {user: Args.string({description: 'id or user name', required: true})}

  async run(): Promise<User> {
    const {args, flags} = await this.parse(UserGet)
    const user = await findUser(this.client(flags), args.user)
    return this.show(user, userLines(user))
  }
}
