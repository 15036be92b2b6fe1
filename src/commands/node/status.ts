import {Args} from '@oclif/core'
import {exitCode} from '../../cli/exit-codes.ts'
import {Failure} from '../../cli/failure.ts'
import {GetCommand} from '../../cli/list-command.ts'
import {memory, percent} from '../../cli/output/figures.ts'
import {ApiError} from '../../client/api-error.ts'
import type {AgentMetrics} from '../../contract/schemas/nodes.ts'

export default class NodeStatus extends GetCommand {
  static override summary = 'Show what the agent of a node measures at this moment.'
  static override description =
    'Asked of the agent itself: exit 5 when the node is not online, 7 when it does not answer.'
  static override examples = ['<%= config.bin %> node status gpu-03', '<%= config.bin %> node status gpu-03 -o json']
  static override args = {node: Args.string({description: 'id or name', required: true})}

  async run(): Promise<AgentMetrics> {
    const {args, flags} = await this.parse(NodeStatus)
    const metrics = await this.client(flags).call('nodes.metrics', {id: args.node}).catch(asUnreachable)
    const {system, gpus} = metrics
    return this.show(metrics, [
      ['CPU', percent(system.cpu_usage_percent)],
      ['Memory', `${memory(system.memory_used_mb)} of ${memory(system.memory_total_mb)}`],
      ['Disk', percent(system.disk_usage_percent)],
      ['Load', system.load_average],
      ...gpus.map((gpu): [string, string] => [
        `GPU ${gpu.id}`,
        `${gpu.name}, ${percent(gpu.usage_percent)}, ${gpu.temperature_c} °C, ${gpu.busy ? 'busy' : 'free'}`,
      ]),
    ])
  }
}

/** The server answers for its node: to the operator it is the node that cannot be reached. */
function asUnreachable(error: unknown): never {
  if (!(error instanceof ApiError) || error.status !== 502) throw error
  throw new Failure(error.code, error.message, {hint: error.hint, exitCode: exitCode.unreachable})
}
