import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {User} from '../../contract/schemas/auth.ts'

export default class UserDisable extends BaseCommand {
  static override summary = 'Lock a user out; logins and tokens stop at once.'
  static override description =
    'Work of the user goes on; take it away with `claim cancel`. `user enable` lets the user in again.'
  static override examples = ['<%= config.bin %> user disable ada', '<%= config.bin %> user disable ada --yes']
  static override args = {user: Args.string({description: 'id or user name', required: true})}

  async run(): Promise<User> {
    const {args, flags} = await this.parse(UserDisable)
    await this.consent(`Lock ${args.user} out?`, flags)
    const user = await this.client(flags).call('users.update', {id: args.user, enabled: false})
    this.say(`${user.username} is locked out.`, user)
    return user
  }
}
