import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import {usageError} from '../../cli/failure.ts'
import {taskColumns} from '../../cli/listings.ts'
import {taskFlags} from '../../cli/storage-words.ts'
import {followTasks} from '../../cli/task-progress.ts'
import type {Task} from '../../contract/schemas/tasks.ts'

export default class ImagePull extends ChangeCommand {
  static override summary = 'Fetch an image ahead on nodes, so that instances start at once.'
  static override description =
    'A task for each node; `gpuctl task cancel` ends one, and what was fetched until then is kept by the engine. With --all: all nodes that you administer, that are connected and have images. With --wait it ends with 1 where one failed.'
  static override examples = [
    '<%= config.bin %> image pull pytorch --node gpu-03 --node gpu-04 --wait',
    '<%= config.bin %> image pull nvidia/cuda:12.0-runtime-ubuntu22.04 --all',
  ]
  static override args = {image: Args.string({description: 'name in the catalogue, or an address', required: true})}
  static override flags = {
    node: Flags.string({description: 'id or name; may be repeated', multiple: true, exclusive: ['all']}),
    all: Flags.boolean({description: 'on all nodes'}),
    wait: taskFlags.wait,
  }

  async run(): Promise<Task[]> {
    const {args, flags} = await this.parse(ImagePull)
    const nodes = flags.node ?? []
    if (nodes.length === 0 && !flags.all) throw usageError('On which nodes?', 'Give --node NODE, or --all.')
    const client = this.client(flags)
    const input = {image: args.image, ...(flags.all ? {} : {nodes})}
    const begun = await client.call('images.pull', input)
    if (!flags.wait) {
      this.hint('Follow one with `gpuctl task wait NUMBER`.')
      return this.list(begun, taskColumns, '')
    }
    const ended = await followTasks(client, begun, {timeoutMs: flags.timeout, quiet: this.mode.quiet})
    if (ended.some(({status}) => status === 'failed')) process.exitCode = exitCode.failure
    return this.list(ended, taskColumns, '')
  }
}
