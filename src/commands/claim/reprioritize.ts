import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {Claim} from '../../contract/schemas/claims.ts'

export default class ClaimReprioritize extends ChangeCommand {
  static override summary = 'Move a claim in the queue.'
  static override description =
    'Priorities are −100…100, 0 unless given; among equals the older claim comes first. Above your own maximum, and before all others with --front, only super administrators may put a claim. A claim that runs keeps it for when it has to wait again. Negative numbers follow `--`.'
  static override examples = [
    '<%= config.bin %> claim reprioritize train 5',
    '<%= config.bin %> claim reprioritize train --front',
    '<%= config.bin %> claim reprioritize -- train -10',
  ]
  static override args = {
    claim: Args.string({description: 'id or name', required: true}),
    priority: Args.string({description: 'the new priority, -100 to 100'}),
  }
  static override flags = {front: Flags.boolean({description: 'before all that wait'})}

  async run(): Promise<Claim> {
    const {args, flags} = await this.parse(ClaimReprioritize)
    if ((args.priority === undefined) !== Boolean(flags.front)) {
      throw usageError('Where should it stand?', 'Give a priority from -100 to 100, or --front.')
    }
    const priority = args.priority === undefined ? ('front' as const) : readPriority(args.priority)
    const claim = await this.client(flags).call('claims.reprioritize', {id: args.claim, priority})
    this.say(`${claim.name} has priority ${claim.spec.priority ?? 0}.`, claim)
    if (claim.status.phase === 'Pending') this.hint(`See its place with \`gpuctl claim get ${claim.name}\`.`)
    return claim
  }
}

function readPriority(text: string): number {
  const priority = Number(text)
  if (/^[-+]?\d{1,3}$/.test(text) && Math.abs(priority) <= 100) return priority
  throw usageError(`${text} is no priority.`, 'Give a whole number from -100 to 100.')
}
