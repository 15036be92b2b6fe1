import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import {ago} from '../../cli/output/figures.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class TaskGet extends GetCommand {
  static override summary = 'Show a task and its steps.'
  static override examples = ['<%= config.bin %> task get 17', '<%= config.bin %> task get 17 -o yaml']
  static override args = {task: Args.string({description: 'id or number', required: true})}

  async run(): Promise<Task> {
    const {args, flags} = await this.parse(TaskGet)
    const task = await this.client(flags).call('tasks.get', {id: args.task})
    return this.show(task, [
      ['Task', `${task.number} (${task.id})`],
      ['What', `${task.type} ${task.object}`],
      ['Node', task.node],
      ['Status', task.progress === null ? task.status : `${task.status}, ${task.progress} %`],
      ['Message', task.message],
      ...task.steps.map((step, index): [string, string] => [
        index === 0 ? 'Steps' : '',
        `${step.state.padEnd(8)}${step.title}`,
      ]),
      ...Object.entries(task.result ?? {}).map(([name, value], index): [string, string] => [
        index === 0 ? 'Result' : '',
        `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
      ]),
      ['Error', task.error ? `${task.error.message} (${task.error.code})` : ''],
      ['Started', ago(task.startedAt)],
      ['Finished', ago(task.finishedAt)],
      ['By', task.owner],
    ])
  }
}
