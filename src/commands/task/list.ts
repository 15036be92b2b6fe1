import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {taskColumns} from '../../cli/listings.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class TaskList extends ListCommand {
  static override summary = 'List long work, newest first.'
  static override examples = ['<%= config.bin %> task list', '<%= config.bin %> task list --status running -o json']
  static override flags = {
    status: Flags.option({
      description: 'only with this status',
      options: ['pending', 'running', 'completed', 'failed'] as const,
    })(),
    type: Flags.string({description: 'only of this kind, as pool.create'}),
  }

  async run(): Promise<Task[]> {
    const {flags} = await this.parse(TaskList)
    const client = this.client(flags)
    const {status, type} = flags
    const tasks = await this.pages(flags, page => client.call('tasks.list', {status, type, ...page}))
    return this.list(tasks, taskColumns, 'There are no tasks.')
  }
}
