import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class TaskCancel extends ChangeCommand {
  static override summary = 'End a task; what it has done is taken back.'
  static override examples = ['<%= config.bin %> task cancel 17', '<%= config.bin %> task cancel 17 -o json']
  static override strict = false
  static override args = {task: Args.string({description: 'id or number; may be repeated', required: true})}

  async run(): Promise<Several<Task>> {
    const {argv, flags} = await this.parse(TaskCancel)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const task = await client.call('tasks.cancel', {id})
      const isOver = task.status === 'completed' || task.status === 'failed'
      this.say(isOver ? `It was over already: ${task.status}.` : `Ending ${task.type} ${task.object}.`, task)
      if (!isOver) this.hint(`See the end with \`gpuctl task wait ${task.number}\`.`)
      return task
    })
  }
}
