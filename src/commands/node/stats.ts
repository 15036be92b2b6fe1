import {Args, Flags} from '@oclif/core'
import {isMachine} from '../../cli/global-flags.ts'
import {nodeStatsColumns} from '../../cli/readings.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import type {NodeStats} from '../../contract/schemas/nodes.ts'

export default class NodeStatsCommand extends StreamCommand {
  static override summary = 'Follow the load of the nodes and their GPUs.'
  static override description = 'Without a node: all of them. With -o json each reading is one line of JSON.'
  static override examples = [
    '<%= config.bin %> node stats',
    '<%= config.bin %> node stats gpu-03 --interval 5',
    '<%= config.bin %> node stats --once -o json',
  ]
  static override args = {node: Args.string({description: 'id or name'})}
  static override flags = {
    once: Flags.boolean({description: 'one reading, then end'}),
    interval: Flags.integer({description: 'seconds between two readings', min: 1, max: 60}),
  }

  async run(): Promise<NodeStats | NodeStats[] | undefined> {
    const {args, flags} = await this.parse(NodeStatsCommand)
    const client = this.client(flags)
    return this.untilInterrupted(async signal => {
      const {interval} = flags
      const readings = args.node
        ? client.events('nodes.stats', {id: args.node, interval}, {signal})
        : client.events('nodes.statsOfAll', {interval}, {signal})
      for await (const {event, data} of readings) {
        if (event !== 'message') continue
        const nodes = 'nodes' in data ? data.nodes : [data]
        if (!isMachine(this.mode.format)) await this.list(nodes, nodeStatsColumns, 'There are no nodes.')
        else if (!flags.once) await this.emit('nodes' in data ? data.nodes : data, () => '')
        if (flags.once) return 'nodes' in data ? data.nodes : data
      }
      return undefined
    })
  }
}
