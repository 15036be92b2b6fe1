import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {User} from '../../contract/schemas/auth.ts'

export default class UserEnable extends ChangeCommand {
  static override summary = 'Let a user in again who was locked out.'
  static override description = 'The user logs in anew: logins from before stay ended.'
  static override examples = ['<%= config.bin %> user enable ada', '<%= config.bin %> user enable ada -o json']
  static override strict = false
  static override args = {user: Args.string({description: 'id or user name; may be repeated', required: true})}

  async run(): Promise<Several<User>> {
    const {argv, flags} = await this.parse(UserEnable)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const user = await client.call('users.update', {id, enabled: true})
      this.say(`${user.username} may log in again.`, user)
      return user
    })
  }
}
