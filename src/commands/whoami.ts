import {Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import type {Choice} from '../cli/context.ts'
import {exitCode} from '../cli/exit-codes.ts'
import {Failure} from '../cli/failure.ts'
import type {GlobalFlags} from '../cli/global-flags.ts'
import {isTerminal} from '../cli/terminal.ts'
import type {OutputOf} from '../contract/contract.ts'

type WhoamiOutput = OutputOf<'auth.whoami'> & {server: string; context: string | null; tokenFrom: string | null}

export default class Whoami extends BaseCommand {
  static override summary = 'Show as whom you are logged in, where, and where the token lies.'
  static override examples = [
    '<%= config.bin %> whoami',
    '<%= config.bin %> whoami -o json',
    'printf "Authorization: Bearer %s" "$(<%= config.bin %> whoami --token --yes)" | curl -H @- http://127.0.0.1:8888/gpuctl/v1/nodes',
  ]
  static override flags = {
    token: Flags.boolean({
      description: 'print the token for another program; asks for consent where it would be piped',
    }),
  }

  async run(): Promise<WhoamiOutput | {token: string}> {
    const {flags} = await this.parse(Whoami)
    const choice = this.choose(flags)
    if (flags.token) return this.#printToken(choice, flags)
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

  /** A pipe may end in a log: there it takes --yes. */
  async #printToken(choice: Choice, flags: GlobalFlags): Promise<{token: string}> {
    const found = await this.findToken(choice)
    if (!found) {
      throw new Failure('login_required', `Nobody is logged in to ${choice.server} here.`, {
        hint: 'Run `gpuctl login`.',
        exitCode: exitCode.unauthenticated,
      })
    }
    if (!isTerminal(process.stdout)) await this.consent('Print the token, which lets anybody act as you?', flags)
    this.log(found.token)
    return {token: found.token}
  }
}
