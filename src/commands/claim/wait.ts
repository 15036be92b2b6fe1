import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {exitCodeOfClaim, followClaim, isFinal} from '../../cli/claim-progress.ts'
import type {Claim} from '../../contract/schemas/claims.ts'

export default class ClaimWait extends BaseCommand {
  static override summary = 'Wait until a claim is over, and end with the exit code of its workload.'
  static override examples = [
    '<%= config.bin %> claim wait train',
    '<%= config.bin %> claim wait train --for running --timeout 10m',
  ]
  static override args = {claim: Args.string({description: 'id or name', required: true})}
  static override flags = {
    for: Flags.option({
      description: 'what to wait for',
      options: ['running', 'completed'] as const,
      default: 'completed' as const,
    })(),
  }

  async run(): Promise<Claim> {
    const {args, flags} = await this.parse(ClaimWait)
    const claim = await followClaim(this.client(flags), args.claim, {
      until: flags.for,
      timeoutMs: flags.timeout,
      quiet: this.mode.quiet,
    })
    this.say(`${claim.name} is ${claim.status.phase}${claim.status.reason ? `: ${claim.status.reason}` : ''}.`, claim)
    if (isFinal(claim)) process.exitCode = exitCodeOfClaim(claim)
    return claim
  }
}
