import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {imageColumns} from '../../cli/listings.ts'
import type {Image} from '../../contract/schemas/catalogue.ts'

export default class ImageList extends ListCommand {
  static override summary = 'List the images of the catalogue.'

  static override examples = [
    '<%= config.bin %> image list',
    '<%= config.bin %> image list --listed',
    '<%= config.bin %> image list -o json',
  ]
  static override flags = {
    listed: Flags.boolean({description: 'only those offered to users; --no-listed the others', allowNo: true}),
  }

  async run(): Promise<Image[]> {
    const {flags} = await this.parse(ImageList)
    const found = await this.client(flags).call('images.list', {listed: flags.listed})
    return this.list(found, imageColumns, 'The catalogue has no images.')
  }
}
