import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class ImageDelete extends BaseCommand {
  static override summary = 'Take an image out of the catalogue.'

  static override examples = ['<%= config.bin %> image delete cuda', '<%= config.bin %> image delete 3f9a -q']
  static override args = {image: Args.string({description: 'id or name', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(ImageDelete)

    const done = await this.client(flags).call('images.delete', {id: args.image})
    this.say(`Image ${args.image} is out of the catalogue.`, {id: args.image, name: args.image})
    return done
  }
}
