import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {nodeColumns} from '../../cli/listings.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

export default class NodeList extends ListCommand {
  static override summary = 'List the nodes of the fleet.'
  static override description =
    'Waiting nodes come first; administrators see the code with which `node approve` admits them.'
  static override examples = [
    '<%= config.bin %> node list',
    '<%= config.bin %> node list --status online -o wide',
    '<%= config.bin %> node list -o json',
  ]
  static override flags = {
    status: Flags.option({
      description: 'only these',
      options: ['pending', 'blocked', 'joining', 'online', 'stale', 'offline'] as const,
    })(),
    pending: Flags.boolean({description: 'only waiting ones'}),
  }

  async run(): Promise<Node[]> {
    const {flags} = await this.parse(NodeList)
    const found = await this.client(flags).call('nodes.list', {
      status: flags.status,
      pending: flags.pending || undefined,
    })
    const pendingFirst = found.sort((a, b) => Number(b.status === 'pending') - Number(a.status === 'pending'))
    return this.list(
      pendingFirst,
      nodeColumns,
      'There are no nodes yet. Start an agent: gpuctl agent start --server URL',
    )
  }
}
