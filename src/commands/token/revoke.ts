import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class TokenRevoke extends BaseCommand {
  static override summary = 'Revoke an API token; it stops working at once.'

  static override examples = ['<%= config.bin %> token revoke ci', '<%= config.bin %> token revoke 3f9a']
  static override args = {token: Args.string({description: 'id or name', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(TokenRevoke)

    const done = await this.client(flags).call('tokens.revoke', {id: args.token})
    this.say(`Token ${args.token} is revoked.`, {id: args.token, name: args.token})
    return done
  }
}
