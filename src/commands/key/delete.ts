import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class KeyDelete extends BaseCommand {
  static override summary = 'Delete an SSH public key; sessions that it opened end at once.'
  static override examples = ['<%= config.bin %> key delete laptop', '<%= config.bin %> key rm 3f9a']
  static override args = {key: Args.string({description: 'id or name', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(KeyDelete)
    const done = await this.client(flags).call('keys.delete', {id: args.key})
    this.say(`Key ${args.key} is deleted.`, {id: args.key, name: args.key})
    return done
  }
}
