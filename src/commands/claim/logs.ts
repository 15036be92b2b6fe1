import {Args} from '@oclif/core'
import {LogsCommand, logFlags} from '../../cli/logs-command.ts'

export default class ClaimLogs extends LogsCommand {
  static override summary = 'Print the output of what a claim runs.'
  static override description =
    'As `gpuctl instance logs` of its instance. With -f it waits for the start, also while the claim is queued, and ends with the exit code of the workload.'
  static override examples = [
    '<%= config.bin %> claim logs train --tail 100',
    '<%= config.bin %> claim logs -f train',
    '<%= config.bin %> claim logs train --previous --grep error',
  ]
  static override strict = false
  static override args = {claim: Args.string({description: 'id or name; may be repeated', required: true})}
  static override flags = logFlags

  async run(): Promise<undefined> {
    const {flags, argv} = await this.parse(ClaimLogs)
    const client = this.client(flags)
    const sources: {id: string; name: string}[] = []
    for (const id of argv as string[]) {
      const {instanceId, name} = await client.call('claims.get', {id}, {prepares: true})
      sources.push({id: instanceId, name})
    }
    return this.printLogs(client, sources, flags)
  }
}
