import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class KeyDelete extends ChangeCommand {
  static override summary = 'Delete an SSH public key; sessions that it opened end at once.'
  static override examples = ['<%= config.bin %> key delete laptop', '<%= config.bin %> key rm 3f9a']
  static override strict = false
  static override args = {key: Args.string({description: 'id or name; may be repeated', required: true})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(KeyDelete)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const done = await client.call('keys.delete', {id})
      this.say(`Key ${id} is deleted.`, {id, name: id})
      return done
    })
  }
}
