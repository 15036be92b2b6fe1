import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeCordon extends BaseCommand {
  static override summary = 'Give a node no new work; what runs there goes on.'
  static override examples = [
    '<%= config.bin %> node cordon gpu-03',
    '<%= config.bin %> node cordon gpu-03 --reason "new fans"',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {reason: Flags.string({description: 'shown to whoever looks at the node'})}

  async run(): Promise<Node> {
    const {args, flags} = await this.parse(NodeCordon)
    const node = await this.client(flags).call('nodes.cordon', {id: args.node, reason: flags.reason})
    this.say(`${node.name} gets no new work.`, node)
    return node
  }
}
