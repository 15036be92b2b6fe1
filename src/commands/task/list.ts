import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {taskColumns} from '../../cli/listings.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class TaskList extends BaseCommand {
  static override summary = 'List long work, newest first.'
  static override examples = ['<%= config.bin %> task list', '<%= config.bin %> task list --status running -o json']
  static override flags = {
    status: Flags.option({
      description: 'only with this status',
      options: ['pending', 'running', 'completed', 'failed'] as const,
    })(),
    type: Flags.string({description: 'only of this kind, as pool.create'}),
    limit: Flags.integer({description: 'at most so many', min: 1, max: 1000}),
  }

  async run(): Promise<Task[]> {
    const {flags} = await this.parse(TaskList)
    const {status, type, limit} = flags
    const tasks = await this.client(flags).call('tasks.list', {status, type, limit})
    return this.list(tasks, taskColumns, 'There are no tasks.')
  }
}
