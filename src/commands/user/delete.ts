import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class UserDelete extends BaseCommand {
  static override summary = 'Delete a user who holds nothing.'

  static override examples = ['<%= config.bin %> user delete ada --yes', '<%= config.bin %> user rm ada']
  static override args = {user: Args.string({description: 'id or user name', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(UserDelete)
    await this.consent(`Delete user ${args.user}?`, flags)
    const done = await this.client(flags).call('users.delete', {id: args.user})
    this.say(`User ${args.user} is deleted.`, {id: args.user, name: args.user})
    return done
  }
}
