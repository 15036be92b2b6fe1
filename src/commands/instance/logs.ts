import {Args} from '@oclif/core'
import {LogsCommand, logFlags} from '../../cli/logs-command.ts'

export default class InstanceLogs extends LogsCommand {
  static override summary = 'Print the output of instances; stdout and stderr stay apart.'
  static override description =
    'With -f it waits for the start, follows, and ends with the workload and its exit code; it goes on after a restart of the server. Of several instances each line begins with its name. At a terminal, control sequences in the output are left out unless --raw.'
  static override examples = [
    '<%= config.bin %> instance logs train --tail 100',
    '<%= config.bin %> logs -f train worker-1 worker-2',
    '<%= config.bin %> logs train --grep "loss|error" --since 2h',
    '<%= config.bin %> instance logs train --since 10m -t > train.log',
  ]
  static override strict = false
  static override args = {instance: Args.string({description: 'ids or names', required: true})}
  static override flags = logFlags

  async run(): Promise<undefined> {
    const {flags, argv} = await this.parse(InstanceLogs)
    const sources = (argv as string[]).map(name => ({id: name, name}))
    return this.printLogs(this.client(flags), sources, flags)
  }
}
