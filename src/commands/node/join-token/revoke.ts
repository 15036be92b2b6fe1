import {Args} from '@oclif/core'
import type {Several} from '../../../cli/base-command.ts'
import {ChangeCommand} from '../../../cli/change-command.ts'

export default class NodeJoinTokenRevoke extends ChangeCommand {
  static override summary = 'Revoke a join token; nodes that joined with it stay.'

  static override examples = [
    '<%= config.bin %> node join-token revoke rack-7',
    '<%= config.bin %> node join-token revoke 3f9a',
  ]
  static override strict = false
  static override args = {token: Args.string({description: 'id or name; may be repeated', required: true})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(NodeJoinTokenRevoke)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const done = await client.call('joinTokens.revoke', {id})
      this.say(`Join token ${id} is revoked.`, {id, name: id})
      return done
    })
  }
}
