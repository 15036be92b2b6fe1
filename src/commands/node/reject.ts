import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class NodeReject extends BaseCommand {
  static override summary = 'Refuse a waiting node; its code is dead at once.'

  static override examples = [
    '<%= config.bin %> node reject XK7M2',
    '<%= config.bin %> node reject XK7M2 --reason "not ours"',
  ]
  static override args = {node: Args.string({description: 'code, id or name', required: true})}
  static override flags = {reason: Flags.string({description: 'why; the machine is told'})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(NodeReject)

    const done = await this.client(flags).call('nodes.reject', {node: args.node, reason: flags.reason})
    this.say(`${args.node} is refused.`, {id: args.node, name: args.node})
    return done
  }
}
