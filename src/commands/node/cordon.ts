import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeCordon extends ChangeCommand {
  static override summary = 'Give a node no new work; what runs there goes on.'
  static override examples = [
    '<%= config.bin %> node cordon gpu-03',
    '<%= config.bin %> node cordon gpu-03 --reason "new fans"',
    '<%= config.bin %> node cordon gpu-03 gpu-04 -n',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'id or name; may be repeated', required: true})}
  static override flags = {reason: Flags.string({description: 'shown to whoever looks at the node'})}

  async run(): Promise<Several<Node>> {
    const {argv, flags} = await this.parse(NodeCordon)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const node = await client.call('nodes.cordon', {id, reason: flags.reason})
      this.say(`${node.name} gets no new work.`, node)
      return node
    })
  }
}
