import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import type {Runtime} from '../../contract/schemas/runtimes.ts'

export default class RuntimeGet extends GetCommand {
  static override summary = 'Show one inference runtime.'
  static override examples = [
    '<%= config.bin %> runtime get server-01',
    '<%= config.bin %> runtime get server-01 -o json',
  ]
  static override args = {runtime: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Runtime> {
    const {args, flags} = await this.parse(RuntimeGet)
    const runtime = await this.client(flags).call('runtimes.get', {id: args.runtime})
    const {ready, load, requests} = runtime
    return this.show(runtime, [
      ['Name', runtime.name],
      ['Status', runtime.status],
      ['Node', runtime.node],
      ['API', `${runtime.address}, port ${runtime.apiPort}`],
      ['Version', runtime.runtimeVersion],
      ['GPUs', `${runtime.gpuCount} × ${runtime.gpuModel}`],
      ['Models', runtime.models.join(', ')],
      ['Ready', ready ? `${ready.ready} of ${ready.total}` : runtime.initializing ? 'not yet' : ''],
      ['Set aside', runtime.excludedModels.join(', ')],
      ['Load', load ? `CPU ${load.cpuPercent} %, memory ${load.memoryPercent} %, ${load.activeRequests} requests` : ''],
      ['Requests', `${requests.total}, ${requests.failed} failed`],
      ['Tags', runtime.tags.join(', ')],
      ['Notes', runtime.notes],
      ['Registered', runtime.registeredAt],
      ['Last seen', runtime.lastSeenAt],
      ['Id', runtime.id],
    ])
  }
}
