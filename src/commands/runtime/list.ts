import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {runtimeColumns} from '../../cli/listings.ts'
import type {Runtime} from '../../contract/schemas/runtimes.ts'

export default class RuntimeList extends ListCommand {
  static override summary = 'List the inference runtimes that the /v1 proxy knows.'
  static override description = 'A runtime registers itself at every start of it, and then waits for `runtime approve`.'
  static override examples = [
    '<%= config.bin %> runtime list',
    '<%= config.bin %> runtime list --status pending',
    '<%= config.bin %> runtime list -o json',
  ]
  static override flags = {
    status: Flags.option({
      description: 'only these',
      options: ['pending', 'registering', 'online', 'offline'] as const,
    })(),
  }

  async run(): Promise<Runtime[]> {
    const {flags} = await this.parse(RuntimeList)
    const found = await this.client(flags).call('runtimes.list', {status: flags.status})
    const none = 'There are no inference runtimes. On a node: gpuctl agent start --server URL --runtime-port PORT'
    return this.list(found, runtimeColumns, none)
  }
}
