import type {Client} from '../client/client.ts'
import type {Task} from '../contract/schemas/tasks.ts'
import {ChangeCommand} from './change-command.ts'
import {followTask} from './task-progress.ts'

interface Started {
  task: Task | null
  commands?: string[]
}

interface TaskFlags {
  wait?: boolean
  timeout?: number
}

/** A command that hands in a task: shows the commands of a dry run, or the task, or waits for its end. */
export abstract class TaskCommand extends ChangeCommand {
  /** Says what was begun or done, and returns it with the newest state of the task. */
  protected async started<T extends Started>(
    client: Client,
    begun: T,
    {flags, doing, done}: {flags: TaskFlags; doing: string; done: string},
  ): Promise<T> {
    const {task, commands} = begun
    if (task === null) {
      this.showCommands(commands ?? [])
      return begun
    }
    if (!flags.wait) {
      this.say(`${doing}: task ${task.number}.`, {id: task.id})
      this.hint(`Follow it with \`gpuctl task wait ${task.number}\`.`)
      return begun
    }
    const ended = await followTask(client, task.id, {timeoutMs: flags.timeout, quiet: this.mode.quiet})
    this.say(done, {id: task.id})
    return {...begun, task: ended}
  }
}
