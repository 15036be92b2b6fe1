import {Args} from '@oclif/core'
import {BaseCommand} from '../../../cli/base-command.ts'

export default class NodeJoinTokenRevoke extends BaseCommand {
  static override summary = 'Revoke a join token; nodes that joined with it stay.'

  static override examples = [
    '<%= config.bin %> node join-token revoke rack-7',
    '<%= config.bin %> node join-token revoke 3f9a',
  ]
  static override args = {token: Args.string({description: 'id or name', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(NodeJoinTokenRevoke)

    const done = await this.client(flags).call('joinTokens.revoke', {id: args.token})
    this.say(`Join token ${args.token} is revoked.`, {id: args.token, name: args.token})
    return done
  }
}
