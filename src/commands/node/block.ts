import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeBlock extends BaseCommand {
  static override summary = 'Keep a node out: its key opens nothing any more, and its host name cannot join.'
  static override description =
    'Its work is treated as that of a lost node. `node approve` lets it in again, with the same key.'
  static override examples = [
    '<%= config.bin %> node block gpu-03 --yes',
    '<%= config.bin %> node block gpu-03 --reason "sends forged readings"',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {reason: Flags.string({description: 'stands in the events and the audit'})}

  async run(): Promise<Node> {
    const {args, flags} = await this.parse(NodeBlock)
    await this.consent(`Block node ${args.node}?`, flags)
    const node = await this.client(flags).call('nodes.block', {id: args.node, reason: flags.reason})
    this.say(`${node.name || node.hostname} is blocked.`, node)
    return node
  }
}
