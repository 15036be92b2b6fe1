import {Args, Flags} from '@oclif/core'
import {taskFlags} from '../../cli/storage-words.ts'
import {TaskCommand} from '../../cli/task-command.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class ImageTemplate extends TaskCommand {
  static override summary = 'Make a template of a file that was uploaded.'
  static override description =
    'On a node with Proxmox VE a template of virtual machines; elsewhere the file is the packed root folder (tar) of a container image NAME:ID.'
  static override examples = [
    '<%= config.bin %> image template debian-12.img --id 9000 --name debian-base --wait',
    '<%= config.bin %> image template rootfs.tar --id 100 --name base --node gpu-03',
  ]
  static override args = {file: Args.string({description: 'name of the file on its node', required: true})}
  static override flags = {
    wait: taskFlags.wait,
    id: Flags.string({description: 'number of the template, from 100', required: true}),
    name: Flags.string({description: 'what it is called', required: true}),
    node: Flags.string({description: 'id or name of the node, where several have the file'}),
  }

  async run(): Promise<{task: Task | null}> {
    const {args, flags} = await this.parse(ImageTemplate)
    const {id, name, node} = flags
    const client = this.client(flags)
    const task = await client.call('osImages.template', {file: args.file, id, name, node})
    const words = {
      doing: `Making template ${id} of ${args.file}`,
      done: `Template ${name} (${id}) is ready on ${task.node}.`,
    }
    return this.started(client, {task, commands: []}, {flags, ...words})
  }
}
