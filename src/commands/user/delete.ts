import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class UserDelete extends ChangeCommand {
  static override summary = 'Delete a user who holds nothing.'

  static override examples = ['<%= config.bin %> user delete ada --yes', '<%= config.bin %> user rm ada']
  static override strict = false
  static override args = {user: Args.string({description: 'id or user name; may be repeated', required: true})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(UserDelete)
    const client = this.client(flags)
    return this.each(argv, async id => {
      await this.consent(`Delete user ${id}?`, flags)
      const done = await client.call('users.delete', {id})
      this.say(`User ${id} is deleted.`, {id, name: id})
      return done
    })
  }
}
