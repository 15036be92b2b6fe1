import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {gpuColumns} from '../../cli/listings.ts'
import type {FleetGpu} from '../../contract/schemas/nodes.ts'

export default class GpuList extends ListCommand {
  static override summary = 'List every GPU of the fleet with its holder.'

  static override examples = [
    '<%= config.bin %> gpu list',
    '<%= config.bin %> gpu list --free --model 4090',
    '<%= config.bin %> gpu list -o json',
  ]
  static override flags = {
    free: Flags.boolean({description: 'only free ones'}),
    model: Flags.string({description: 'part of the model name'}),
  }

  async run(): Promise<FleetGpu[]> {
    const {flags} = await this.parse(GpuList)
    const found = await this.client(flags).call('gpus.list', {free: flags.free || undefined, model: flags.model})
    return this.list(found, gpuColumns, 'There are no GPUs.')
  }
}
