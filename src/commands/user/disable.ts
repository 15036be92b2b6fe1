import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {User} from '../../contract/schemas/auth.ts'

export default class UserDisable extends ChangeCommand {
  static override summary = 'Lock a user out; logins and tokens stop at once.'
  static override description =
    'Work of the user goes on; take it away with `claim cancel`. `user enable` lets the user in again.'
  static override examples = ['<%= config.bin %> user disable ada', '<%= config.bin %> user disable ada --yes']
  static override strict = false
  static override args = {user: Args.string({description: 'id or user name; may be repeated', required: true})}

  async run(): Promise<Several<User>> {
    const {argv, flags} = await this.parse(UserDisable)
    const client = this.client(flags)
    return this.each(argv, async id => {
      await this.consent(`Lock ${id} out?`, flags)
      const user = await client.call('users.update', {id, enabled: false})
      this.say(`${user.username} is locked out.`, user)
      return user
    })
  }
}
