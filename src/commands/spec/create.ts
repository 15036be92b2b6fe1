import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {usageError} from '../../cli/failure.ts'
import {memoryFlag} from '../../cli/units.ts'
import type {Spec} from '../../contract/schemas/catalogue.ts'

export default class SpecCreate extends BaseCommand {
  static override summary = 'Put a spec into the catalogue: GPUs, processors and memory under one name.'
  static override examples = [
    '<%= config.bin %> spec create small --gpus 1 --gpu-model 4090 --cpus 8 --memory 32GiB',
    '<%= config.bin %> spec create big --gpus 8 --gpu-memory 640GiB --price 19.5 -o json',
  ]
  static override args = {name: Args.string({description: 'name in the catalogue', required: true})}
  static override flags = {
    gpus: Flags.integer({description: 'how many GPUs', min: 0}),
    'gpu-model': Flags.string({description: 'part of the model name'}),
    'gpu-memory': memoryFlag({description: 'memory of all its GPUs together'}),
    cpus: Flags.integer({description: 'processors', min: 0}),
    memory: memoryFlag({description: 'main memory'}),
    disk: memoryFlag({description: 'system disk'}),
    'data-disk': memoryFlag({description: 'data disk'}),
    price: Flags.string({description: 'price for an hour', helpValue: '<number>'}),
    listed: Flags.boolean({description: 'offered to users', allowNo: true}),
  }

  async run(): Promise<Spec> {
    const {args, flags} = await this.parse(SpecCreate)
    const spec = await this.client(flags).call('specs.create', {
      name: args.name,
      gpuCount: flags.gpus,
      gpuModel: flags['gpu-model'],
      gpuMemoryGiB: inGiB(flags['gpu-memory']),
      cpus: flags.cpus,
      memoryGiB: inGiB(flags.memory),
      systemDiskGiB: inGiB(flags.disk),
      dataDiskGiB: inGiB(flags['data-disk']),
      pricePerHour: readPrice(flags.price),
      listed: flags.listed,
    })
    this.say(`Spec ${spec.name} is in the catalogue.`, spec)
    return spec
  }
}

function inGiB(mib: number | undefined): number | undefined {
  return mib === undefined ? undefined : Math.round(mib / 1024)
}

function readPrice(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+(\.\d+)?$/.test(text)) throw usageError(`--price: ${text} is not a number.`)
  return Number(text)
}
