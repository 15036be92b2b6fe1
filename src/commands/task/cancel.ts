import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class TaskCancel extends BaseCommand {
  static override summary = 'End a task; what it has done is taken back.'
  static override examples = ['<%= config.bin %> task cancel 17', '<%= config.bin %> task cancel 17 -o json']
  static override args = {task: Args.string({description: 'id or number', required: true})}

  async run(): Promise<Task> {
    const {args, flags} = await this.parse(TaskCancel)
    const task = await this.client(flags).call('tasks.cancel', {id: args.task})
    const isOver = task.status === 'completed' || task.status === 'failed'
    this.say(isOver ? `It was over already: ${task.status}.` : `Ending ${task.type} ${task.object}.`, task)
    this.hint(isOver ? '' : `See the end with \`gpuctl task wait ${task.number}\`.`)
    return task
  }
}
