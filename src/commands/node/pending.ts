import {ListCommand} from '../../cli/list-command.ts'
import {pendingColumns} from '../../cli/listings.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodePending extends ListCommand {
  static override summary = 'List the machines that ask to join, with the codes that admit them.'
  static override description =
    'Compare the code, and if in doubt the fingerprint, with what the machine itself shows: `gpuctl agent status` there.'
  static override examples = ['<%= config.bin %> node pending', '<%= config.bin %> node pending -o json']

  async run(): Promise<Node[]> {
    const {flags} = await this.parse(NodePending)
    const nodes = await this.client(flags).call('nodes.list', {pending: true})
    await this.list(nodes, pendingColumns, 'No machine is waiting.')
    const [first] = nodes
    if (first?.code) this.hint(`Next: gpuctl node approve ${first.code}`)
    return nodes
  }
}
