import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {User} from '../../contract/schemas/auth.ts'

export default class UserEnable extends BaseCommand {
  static override summary = 'Let a user in again who was locked out.'
  static override description = 'The user logs in anew: logins from before stay ended.'
  static override examples = ['<%= config.bin %> user enable ada', '<%= config.bin %> user enable ada -o json']
  static override args = {user: Args.string({description: 'id or user name', required: true})}

  async run(): Promise<User> {
    const {args, flags} = await this.parse(UserEnable)
    const user = await this.client(flags).call('users.update', {id: args.user, enabled: true})
    this.say(`${user.username} may log in again.`, user)
    return user
  }
}
