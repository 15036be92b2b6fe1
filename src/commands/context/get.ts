import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {unknownContext} from '../../cli/context.ts'

interface ContextOutput {
  name: string
  server: string
  user: string | null
  caCert: string | null
  /** SHA-256 of the certificate that the server must show; null = an authority vouches for it. */
  fingerprint: string | null
  current: boolean
  /** Where the token lies; null = nobody is logged in there. */
  tokenFrom: string | null
}

export default class ContextGet extends BaseCommand {
  static override summary = 'Show a server that this machine knows, the current one unless named.'
  static override examples = ['<%= config.bin %> context get', '<%= config.bin %> context get lab -o json']
  static override args = {name: Args.string({description: 'name of the context'})}

  async run(): Promise<ContextOutput> {
    const {args, flags} = await this.parse(ContextGet)
    const context = args.name === undefined ? this.choose(flags).context : this.settings.contexts[args.name]
    if (!context) throw unknownContext(args.name ?? '(none is current)', this.settings)
    const token = await this.credentials().find(context.server, context.name)
    const output = {
      name: context.name,
      server: context.server,
      user: context.user ?? null,
      caCert: context.caCert ?? null,
      fingerprint: context.pin?.fingerprint ?? null,
      current: context.name === this.settings.current,
      tokenFrom: token?.from ?? null,
    }
    return this.show(output, [
      ['Name', output.name],
      ['Server', output.server],
      ['User', output.user],
      ['Authority', output.caCert],
      ['Certificate', output.fingerprint && `SHA256:${output.fingerprint}`],
      ['Current', output.current ? 'yes' : 'no'],
      ['Token from', output.tokenFrom ?? 'nowhere: gpuctl login'],
    ])
  }
}
