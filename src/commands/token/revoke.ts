import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class TokenRevoke extends ChangeCommand {
  static override summary = 'Revoke an API token; it stops working at once.'

  static override examples = ['<%= config.bin %> token revoke ci', '<%= config.bin %> token revoke 3f9a']
  static override strict = false
  static override args = {token: Args.string({description: 'id or name; may be repeated', required: true})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(TokenRevoke)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const done = await client.call('tokens.revoke', {id})
      this.say(`Token ${id} is revoked.`, {id, name: id})
      return done
    })
  }
}
