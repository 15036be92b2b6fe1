import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {deleteContext, unknownContext} from '../../cli/context.ts'

export default class ContextDelete extends BaseCommand {
  static override summary = 'Forget a server and the token for it.'
  static override examples = ['<%= config.bin %> context delete lab', '<%= config.bin %> context rm lab -o json']
  static override args = {name: Args.string({description: 'name of the context', required: true})}

  async run(): Promise<{done: true}> {
    const {args} = await this.parse(ContextDelete)
    const context = this.settings.contexts[args.name]
    if (!context) throw unknownContext(args.name, this.settings)
    await deleteContext(context)
    this.say(`Context ${context.name} is forgotten.`, {id: context.name, name: context.name})
    return {done: true}
  }
}
