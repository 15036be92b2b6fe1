import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class RuntimeDelete extends BaseCommand {
  static override summary = 'Forget an inference runtime; its token is worth nothing from now on.'
  static override description = 'One that still runs may register again, and then waits for approval.'
  static override examples = [
    '<%= config.bin %> runtime delete server-01',
    '<%= config.bin %> runtime rm server-01 --yes',
  ]
  static override args = {runtime: Args.string({description: 'id or name', required: true})}

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(RuntimeDelete)
    await this.consent(`Forget the runtime ${args.runtime}?`, flags)
    const done = await this.client(flags).call('runtimes.delete', {id: args.runtime})
    this.say(`${args.runtime} is forgotten; its token is worth nothing any more.`, {
      id: args.runtime,
      name: args.runtime,
    })
    return done
  }
}
