import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import type {Spec} from '../../contract/schemas/catalogue.ts'

export default class SpecGet extends GetCommand {
  static override summary = 'Show one spec of the catalogue.'
  static override examples = ['<%= config.bin %> spec get small', '<%= config.bin %> spec get small -o json']
  static override args = {spec: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Spec> {
    const {args, flags} = await this.parse(SpecGet)
    const spec = await this.client(flags).call('specs.get', {id: args.spec})
    const part = spec.memorySplit ? ', a part of each GPU' : ''
    return this.show(spec, [
      ['Name', spec.name],
      ['GPUs', spec.gpuCount === 0 ? 'none' : `${spec.gpuCount} × ${spec.gpuModel || 'any model'}${part}`],
      ['GPU memory', gib(spec.gpuMemoryGiB)],
      ['CPUs', spec.cpus || null],
      ['Memory', gib(spec.memoryGiB)],
      ['System disk', gib(spec.systemDiskGiB)],
      ['Data disk', gib(spec.dataDiskGiB)],
      ['Price/h', spec.pricePerHour],
      ['Listed', spec.listed ? 'yes' : 'no'],
      ['Id', spec.id],
    ])
  }
}

function gib(size: number): string {
  return size === 0 ? '' : `${size} GiB`
}
