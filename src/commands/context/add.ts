import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {saveContext} from '../../cli/context.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import {Failure, usageError} from '../../cli/failure.ts'
import {readServerUrl} from '../../cli/settings.ts'

export default class ContextAdd extends BaseCommand {
  static override summary = 'Remember a server by a name.'
  static override examples = [
    '<%= config.bin %> context add lab --server http://10.0.0.5:8888',
    '<%= config.bin %> context add lab --server https://lab.example.org --ca-cert lab.pem --use',
  ]
  static override args = {name: Args.string({description: 'name of the context', required: true})}
  static override flags = {use: Flags.boolean({description: 'make it current'})}

  async run(): Promise<{name: string; server: string}> {
    const {args, flags} = await this.parse(ContextAdd)
    if (flags.server === undefined) throw usageError('Which server?', 'Give --server http://HOST:PORT.')
    if (this.settings.contexts[args.name]) {
      const hint = `Delete it first: gpuctl context delete ${args.name}`
      throw new Failure('name_taken', `There is already a context ${args.name}.`, {hint, exitCode: exitCode.conflict})
    }
    const server = readServerUrl(flags.server)
    await saveContext(args.name, {server, caCert: flags['ca-cert'], use: flags.use})
    this.say(`Added context ${args.name} (${server}).`, {id: args.name, name: args.name})
    this.hint(`Next: gpuctl login --context ${args.name}`)
    return {name: args.name, server}
  }
}
