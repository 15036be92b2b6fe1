import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import {durationFlag} from '../../cli/units.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class TokenCreate extends ChangeCommand {
  static override summary = 'Create an API token for a script or CI. It is shown this once.'
  static override examples = [
    '<%= config.bin %> token create ci --ttl 90d',
    '<%= config.bin %> token create dashboard --scope read -o json',
    '<%= config.bin %> token create chatbot --scope inference --rate 60 --concurrency 4',
  ]
  static override args = {name: Args.string({description: 'name of the token'})}
  static override flags = {
    name: Flags.string({description: 'name of the token, as the argument'}),
    scope: Flags.option({
      description: 'what it may do: read, all that you may (write), or call models only; read and write unless given',
      options: ['read', 'write', 'inference'] as const,
      multiple: true,
    })(),
    rate: Flags.integer({description: 'calls of models a minute', helpValue: '<number>', min: 1, max: 1_000_000}),
    concurrency: Flags.integer({description: 'calls of models at once', helpValue: '<number>', min: 1, max: 10_000}),
    ttl: durationFlag({description: 'how long it is good; without end unless given'}),
  }

  async run(): Promise<OutputOf<'tokens.create'>> {
    const {args, flags} = await this.parse(TokenCreate)
    const name = args.name ?? flags.name
    if (name === undefined) throw usageError('NAME (name of the token) is missing.', 'See it with --help.')
    const token = await this.client(flags).call('tokens.create', {
      name,
      scopes: flags.scope,
      ttlSeconds: flags.ttl === undefined ? undefined : Math.round(flags.ttl / 1000),
      requestsPerMinute: flags.rate,
      concurrency: flags.concurrency,
    })
    this.notice(
      `Token ${token.name} may ${token.scopes.join(' and ')}${token.expiresAt ? `, until ${token.expiresAt}` : ''}. It is not shown again.`,
    )
    this.log(token.secret)
    this.hint(
      token.secret.startsWith('sk_')
        ? 'Use it as the key of any OpenAI client (OPENAI_API_KEY), with this server’s address and /v1 as its base.'
        : 'Use it as GPUCTL_TOKEN, or in a file that GPUCTL_TOKEN_FILE names.',
    )
    return token
  }
}
