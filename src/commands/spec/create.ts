import {Args} from '@oclif/core'
import {readSpec, specFlags} from '../../cli/catalogue-input.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Spec} from '../../contract/schemas/catalogue.ts'

export default class SpecCreate extends ChangeCommand {
  static override summary = 'Put a spec into the catalogue: GPUs, processors and memory under one name.'
  static override examples = [
    '<%= config.bin %> spec create small --gpus 1 --gpu-model "RTX 4090" --cpus 8 --memory 32GiB',
    '<%= config.bin %> spec create quarter --gpus 1 --gpu-memory 6GiB --memory-split --price 0.4 -o json',
  ]
  static override args = {name: Args.string({description: 'name in the catalogue', required: true})}
  static override flags = specFlags

  async run(): Promise<Spec> {
    const {args, flags} = await this.parse(SpecCreate)
    const spec = await this.client(flags).call('specs.create', {name: args.name, ...readSpec(flags)})
    this.say(`Spec ${spec.name} is in the catalogue.`, spec)
    this.hint(`Next: gpuctl spec nodes ${spec.name}`)
    return spec
  }
}
