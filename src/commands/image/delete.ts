import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class ImageDelete extends ChangeCommand {
  static override summary = 'Take an image out of the catalogue.'

  static override examples = ['<%= config.bin %> image delete cuda', '<%= config.bin %> image delete 3f9a -q']
  static override strict = false
  static override args = {image: Args.string({description: 'id or name; may be repeated', required: true})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(ImageDelete)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const done = await client.call('images.delete', {id})
      this.say(`Image ${id} is out of the catalogue.`, {id, name: id})
      return done
    })
  }
}
