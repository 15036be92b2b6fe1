import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {followTask, taskStates} from '../../cli/task-progress.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class TaskWait extends BaseCommand {
  static override summary = 'Wait until a task is over; ends with 1 where it failed.'
  static override description =
    'With --for until it is in that state; ends with 1 where the state can no longer come. `gpuctl wait task/17` waits for several things side by side.'
  static override examples = [
    '<%= config.bin %> task wait 17',
    '<%= config.bin %> task wait 17 --for completed --timeout 10m',
  ]
  static override args = {task: Args.string({description: 'id or number', required: true})}
  static override flags = {
    for: Flags.option({
      description: 'what to wait for',
      options: taskStates,
      default: 'completed' as const,
    })(),
  }

  async run(): Promise<Task> {
    const {args, flags} = await this.parse(TaskWait)
    const options = {timeoutMs: flags.timeout, quiet: this.mode.quiet, until: flags.for}
    const task = await followTask(this.client(flags), args.task, options)
    this.say(`${task.type} ${task.object}: ${task.status === 'completed' ? 'done' : task.status}.`, task)
    return task
  }
}
