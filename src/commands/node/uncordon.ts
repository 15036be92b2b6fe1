import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeUncordon extends BaseCommand {
  static override summary = 'Give a node work again.'

  static override examples = [
    '<%= config.bin %> node uncordon gpu-03',
    '<%= config.bin %> node uncordon gpu-03 -o json',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Node> {
    const {args, flags} = await this.parse(NodeUncordon)

    const node = await this.client(flags).call('nodes.uncordon', {id: args.node})
    this.say(`${node.name} gets work again.`, node)
    return node
  }
}
