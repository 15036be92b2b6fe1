import {Args, Flags} from '@oclif/core'
import {imageFlags} from '../../cli/catalogue-input.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {Image} from '../../contract/schemas/catalogue.ts'

export default class ImageUpdate extends ChangeCommand {
  static override summary = 'Change an image of the catalogue.'
  static override description =
    'What no flag names stays as it is. Instances that were made from it keep what they have.'
  static override examples = [
    '<%= config.bin %> image update cuda --address nvidia/cuda:12.4.1-runtime-ubuntu22.04',
    '<%= config.bin %> image update cuda --no-listed',
  ]
  static override args = {image: Args.string({description: 'id or name', required: true})}
  static override flags = {...imageFlags, name: Flags.string({description: 'its new name'})}

  async run(): Promise<Image> {
    const {args, flags} = await this.parse(ImageUpdate)
    const {name, address, description, source, remark, listed, 'memory-split': memorySplit} = flags
    const change = {name, address, description, source, remark, listed, memorySplit}
    if (Object.values(change).every(value => value === undefined)) throw usageError('Nothing is to be changed.')
    const image = await this.client(flags).call('images.update', {id: args.image, ...change})
    this.say(`Image ${image.name} is changed.`, image)
    return image
  }
}
