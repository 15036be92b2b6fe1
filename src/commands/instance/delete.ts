import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class InstanceDelete extends BaseCommand {
  static override summary = 'Remove an instance with its files and give its GPUs back.'
  static override examples = [
    '<%= config.bin %> instance delete train',
    '<%= config.bin %> instance delete train --yes',
  ]
  static override args = {instance: Args.string({description: 'id or name', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(InstanceDelete)
    const client = this.client(flags)
    await this.consent(`Delete instance ${args.instance} and all that is written in it?`, flags)
    const done = await client.call('instances.delete', {id: args.instance})
    this.say(`Instance ${args.instance} is deleted.`, {id: args.instance, name: args.instance})
    return done
  }
}
