import {Args} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeRename extends ChangeCommand {
  static override summary = 'Give a node another name; its work goes on.'
  static override examples = [
    '<%= config.bin %> node rename gpu-03 rack-7',
    '<%= config.bin %> node rename gpu-03 rack-7 -q',
  ]
  static override args = {
    node: Args.string({description: 'id or name', required: true}),
    name: Args.string({description: 'new name', required: true, ignoreStdin: true}),
  }

  async run(): Promise<Node> {
    const {args, flags} = await this.parse(NodeRename)
    const node = await this.client(flags).call('nodes.update', {id: args.node, name: args.name})
    this.say(`${args.node} is now ${node.name}.`, node)
    return node
  }
}
