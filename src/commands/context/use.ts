import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {unknownContext, useContext} from '../../cli/context.ts'

export default class ContextUse extends BaseCommand {
  static override summary = 'Choose the server that commands go to.'
  static override examples = ['<%= config.bin %> context use local', '<%= config.bin %> ctx use lab -o json']
  static override args = {name: Args.string({description: 'name of the context', required: true})}

  async run(): Promise<{name: string; server: string}> {
    const {args} = await this.parse(ContextUse)
    const context = this.settings.contexts[args.name]
    if (!context) throw unknownContext(args.name, this.settings)
    await useContext(context.name)
    this.say(`Context ${context.name} (${context.server}) is now current.`, context)
    return {name: context.name, server: context.server}
  }
}
