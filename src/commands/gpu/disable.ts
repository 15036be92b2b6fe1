import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {FleetGpu} from '../../contract/schemas/nodes.ts'

export default class GpuDisable extends ChangeCommand {
  static override summary = 'Give a GPU no new work; what runs on it goes on.'
  static override examples = [
    '<%= config.bin %> gpu disable gpu-03:0 gpu-03:1',
    '<%= config.bin %> gpu disable gpu-03:1 --reason "ECC errors"',
  ]
  static override strict = false
  static override args = {gpu: Args.string({description: 'NODE:INDEX, or UUID; may be repeated', required: true})}
  static override flags = {reason: Flags.string({description: 'shown to whoever looks at the GPU'})}

  async run(): Promise<Several<FleetGpu>> {
    const {argv, flags} = await this.parse(GpuDisable)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const gpu = await client.call('gpus.disable', {id, reason: flags.reason})
      const name = `${gpu.node}:${gpu.index}`
      this.say(`${name} gets no new work.`, {id: gpu.uuid, name})
      return gpu
    })
  }
}
