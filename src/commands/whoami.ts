import {BaseCommand} from '../cli/base-command.ts'
import type {OutputOf} from '../contract/contract.ts'

type WhoamiOutput = OutputOf<'auth.whoami'> & {server: string; context: string | null; tokenFrom: string | null}

export default class Whoami extends BaseCommand {
  static override summary = 'Show as whom you are logged in, where, and where the token lies.'
  static override examples = ['<%= config.bin %> whoami', '<%= config.bin %> whoami -o json']

  async run(): Promise<WhoamiOutput> {
    const {flags} = await this.parse(Whoami)
    const choice = this.choose(flags)
    const me = await this.client(flags).call('auth.whoami', {})
    const found = await this.findToken(choice)
    const output = {...me, server: choice.server, context: choice.context?.name ?? null, tokenFrom: found?.from ?? null}
    return this.show(output, [
      ['Username', me.username],
      ['Role', me.role],
      ['Server', choice.server],
      ['Context', output.context],
      ['Token from', output.tokenFrom],
      ['May', me.scopes.join(' and ')],
      ['Expires', me.expiresAt],
      ['GPUs', `${me.gpusHeld} held of ${me.gpuQuota === null ? 'unlimited' : me.gpuQuota}`],
    ])
  }
}
