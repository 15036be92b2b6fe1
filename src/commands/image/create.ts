import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {Image} from '../../contract/schemas/catalogue.ts'

export default class ImageCreate extends BaseCommand {
  static override summary = 'Put an image into the catalogue, so that people can choose it by name.'
  static override examples = [
    '<%= config.bin %> image create cuda --address nvidia/cuda:12.0-runtime-ubuntu22.04',
    '<%= config.bin %> image create torch --address pytorch/pytorch --description "PyTorch 2" -o json',
  ]
  static override args = {name: Args.string({description: 'name in the catalogue', required: true})}
  static override flags = {
    address: Flags.string({description: 'the image as Docker names it', required: true}),
    description: Flags.string({description: 'what is in it'}),
    remark: Flags.string({description: 'a note for administrators'}),
    listed: Flags.boolean({description: 'offered to users', allowNo: true}),
  }

  async run(): Promise<Image> {
    const {args, flags} = await this.parse(ImageCreate)
    const {address, description, remark, listed} = flags
    const image = await this.client(flags).call('images.create', {
      name: args.name,
      address,
      description,
      remark,
      listed,
    })
    this.say(`Image ${image.name} is in the catalogue.`, image)
    return image
  }
}
