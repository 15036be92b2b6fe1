import {Args} from '@oclif/core'
import {imageFlags} from '../../cli/catalogue-input.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Image} from '../../contract/schemas/catalogue.ts'

export default class ImageCreate extends ChangeCommand {
  static override summary = 'Put an image into the catalogue, so that people can choose it by name.'
  static override examples = [
    '<%= config.bin %> image create cuda --address nvidia/cuda:12.0-runtime-ubuntu22.04',
    '<%= config.bin %> image create torch --address pytorch/pytorch --description "PyTorch 2" --memory-split -o json',
  ]
  static override args = {name: Args.string({description: 'name in the catalogue', required: true})}
  static override flags = {...imageFlags, address: {...imageFlags.address, required: true as const}}

  async run(): Promise<Image> {
    const {args, flags} = await this.parse(ImageCreate)
    const {address, description, source, remark, listed, 'memory-split': memorySplit} = flags
    const image = await this.client(flags).call('images.create', {
      ...{name: args.name, address: address as string},
      ...{description, source, remark, listed, memorySplit},
    })
    this.say(`Image ${image.name} is in the catalogue.`, image)
    return image
  }
}
