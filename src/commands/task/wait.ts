import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {followTask} from '../../cli/task-progress.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class TaskWait extends BaseCommand {
  static override summary = 'Wait until a task is over; ends with 1 where it failed.'
  static override examples = ['<%= config.bin %> task wait 17', '<%= config.bin %> task wait 17 --timeout 10m']
  static override args = {task: Args.string({description: 'id or number', required: true})}

  async run(): Promise<Task> {
    const {args, flags} = await this.parse(TaskWait)
    const options = {timeoutMs: flags.timeout, quiet: this.mode.quiet}
    const task = await followTask(this.client(flags), args.task, options)
    this.say(`${task.type} ${task.object}: done.`, task)
    return task
  }
}
