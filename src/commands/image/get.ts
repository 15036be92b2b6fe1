import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import type {Image} from '../../contract/schemas/catalogue.ts'

export default class ImageGet extends GetCommand {
  static override summary = 'Show one image of the catalogue.'
  static override examples = ['<%= config.bin %> image get cuda', '<%= config.bin %> image get cuda -o json']
  static override args = {image: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Image> {
    const {args, flags} = await this.parse(ImageGet)
    const image = await this.client(flags).call('images.get', {id: args.image})
    return this.show(image, [
      ['Name', image.name],
      ['Address', image.address],
      ['Description', image.description],
      ['Source', image.source],
      ['Parts of GPUs', image.memorySplit ? 'yes' : 'no'],
      ['Listed', image.listed ? 'yes' : 'no'],
      ['Remark', image.remark],
      ['Created', image.createdAt],
      ['Id', image.id],
    ])
  }
}
