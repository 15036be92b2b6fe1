import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeBlock extends ChangeCommand {
  static override summary = 'Keep a node out: its key opens nothing any more, and its host name cannot join.'
  static override description =
    'Its work is treated as that of a lost node. `node approve` lets it in again, with the same key.'
  static override examples = [
    '<%= config.bin %> node block gpu-03 --yes',
    '<%= config.bin %> node block gpu-03 --reason "sends forged readings"',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'id or name; may be repeated', required: true})}
  static override flags = {reason: Flags.string({description: 'stands in the events and the audit'})}

  async run(): Promise<Several<Node>> {
    const {argv, flags} = await this.parse(NodeBlock)
    const client = this.client(flags)
    return this.each(argv, async id => {
      await this.consent(`Block node ${id}?`, flags)
      const node = await client.call('nodes.block', {id, reason: flags.reason})
      this.say(`${node.name || node.hostname} is blocked.`, node)
      return node
    })
  }
}
