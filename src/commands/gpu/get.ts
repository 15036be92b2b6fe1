import {Args} from '@oclif/core'
import {exitCode} from '../../cli/exit-codes.ts'
import {Failure} from '../../cli/failure.ts'
import {GetCommand} from '../../cli/list-command.ts'
import {gpuState} from '../../cli/listings.ts'
import {gpuSummary, memory, percent} from '../../cli/output/figures.ts'
import type {DisabledGpu, FleetGpu} from '../../contract/schemas/nodes.ts'

export default class GpuGet extends GetCommand {
  static override summary = 'Show one GPU and who holds it.'
  static override examples = ['<%= config.bin %> gpu get gpu-03:1', '<%= config.bin %> gpu get GPU-5f0c2d7e -o json']
  static override args = {gpu: Args.string({description: 'NODE:INDEX, or UUID', required: true})}

  async run(): Promise<FleetGpu> {
    const {args, flags} = await this.parse(GpuGet)
    const all = await this.client(flags).call('gpus.list', {})
    const gpu = all.find(({uuid, node, index}) => uuid === args.gpu || `${node}:${index}` === args.gpu)
    if (!gpu) {
      throw new Failure('not_found', `There is no GPU ${args.gpu}.`, {
        hint: 'Name it as NODE:INDEX or by its UUID; list them with `gpuctl gpu list -o wide`.',
        exitCode: exitCode.notFound,
      })
    }
    return this.show(gpu, [
      ['Node', gpu.node],
      ['Index', gpu.index],
      ['Model', gpuSummary([gpu]).replace('1 × ', '')],
      ['Memory', memory(gpu.memoryMiB)],
      ['Use', percent(gpu.utilizationPercent)],
      ['Temperature', gpu.temperatureC === null ? null : `${gpu.temperatureC} °C`],
      ['State', gpuState(gpu)],
      ['Disabled', gpu.disabled && disabledWords(gpu.disabled)],
      ['Claim', gpu.claim],
      ['Owner', gpu.owner],
      ['UUID', gpu.uuid],
    ])
  }
}

function disabledWords({reason, by, at}: DisabledGpu): string {
  return `since ${at} by ${by}${reason ? `: ${reason}` : ''}`
}
