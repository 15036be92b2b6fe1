import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {renameContext, unknownContext} from '../../cli/context.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import {Failure} from '../../cli/failure.ts'

export default class ContextRename extends BaseCommand {
  static override summary = 'Give a known server another name; its login stays.'
  static override examples = [
    '<%= config.bin %> context rename lab lab-old',
    '<%= config.bin %> ctx rename a b -o json',
  ]
  static override args = {
    name: Args.string({description: 'name now', required: true}),
    to: Args.string({description: 'new name', required: true, ignoreStdin: true}),
  }

  async run(): Promise<{name: string; server: string}> {
    const {args} = await this.parse(ContextRename)
    const context = this.settings.contexts[args.name]
    if (!context) throw unknownContext(args.name, this.settings)
    if (this.settings.contexts[args.to]) {
      throw new Failure('name_taken', `There is already a context ${args.to}.`, {exitCode: exitCode.conflict})
    }
    await renameContext(context, args.to)
    this.say(`Context ${args.name} is now ${args.to}.`, {id: args.to, name: args.to})
    return {name: args.to, server: context.server}
  }
}
