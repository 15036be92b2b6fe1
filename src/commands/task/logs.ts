import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {TaskLogLine} from '../../contract/schemas/tasks.ts'

export default class TaskLogs extends BaseCommand {
  static override summary = 'Show what a task has noted.'
  static override examples = ['<%= config.bin %> task logs 17', '<%= config.bin %> task logs 17 -o ndjson']
  static override args = {task: Args.string({description: 'id or number', required: true})}

  async run(): Promise<TaskLogLine[]> {
    const {args, flags} = await this.parse(TaskLogs)
    const lines = await this.client(flags).call('tasks.logs', {id: args.task})
    for (const {at, text} of lines) this.log(`${at}  ${text}`)
    return lines
  }
}
