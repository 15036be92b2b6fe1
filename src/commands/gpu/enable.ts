import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {FleetGpu} from '../../contract/schemas/nodes.ts'

export default class GpuEnable extends ChangeCommand {
  static override summary = 'Give a GPU work again.'
  static override examples = [
    '<%= config.bin %> gpu enable gpu-03:0 gpu-03:1',
    '<%= config.bin %> gpu enable GPU-5f0c2d7e -o json',
  ]
  static override strict = false
  static override args = {gpu: Args.string({description: 'NODE:INDEX, or UUID; may be repeated', required: true})}

  async run(): Promise<Several<FleetGpu>> {
    const {argv, flags} = await this.parse(GpuEnable)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const gpu = await client.call('gpus.enable', {id})
      const name = `${gpu.node}:${gpu.index}`
      this.say(`${name} gets work again.`, {id: gpu.uuid, name})
      return gpu
    })
  }
}
