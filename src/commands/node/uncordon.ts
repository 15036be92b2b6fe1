import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeUncordon extends ChangeCommand {
  static override summary = 'Give a node work again; ends a drain.'
  static override examples = [
    '<%= config.bin %> node uncordon gpu-03',
    '<%= config.bin %> node uncordon gpu-03 -o json',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'id or name; may be repeated', required: true})}

  async run(): Promise<Several<Node>> {
    const {argv, flags} = await this.parse(NodeUncordon)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const node = await client.call('nodes.uncordon', {id})
      this.say(`${node.name} gets work again.`, node)
      return node
    })
  }
}
