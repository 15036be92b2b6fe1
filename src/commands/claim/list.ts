import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {claimColumns} from '../../cli/listings.ts'
import type {Claim} from '../../contract/schemas/claims.ts'

export default class ClaimList extends BaseCommand {
  static override summary = 'List your claims.'

  static override examples = [
    '<%= config.bin %> claim list',
    '<%= config.bin %> claim list --phase Pending',
    '<%= config.bin %> claim list --live --all -o json',
  ]
  static override flags = {
    phase: Flags.option({
      description: 'only these',
      options: ['Pending', 'Scheduled', 'Running', 'Completed', 'Failed', 'Released'] as const,
    })(),
    all: Flags.boolean({description: 'of all users (administrators)'}),
    live: Flags.boolean({description: 'only unfinished ones'}),
    limit: Flags.integer({description: 'at most so many', min: 1, max: 1000}),
  }

  async run(): Promise<Claim[]> {
    const {flags} = await this.parse(ClaimList)
    const found = await this.client(flags).call('claims.list', {
      phase: flags.phase,
      all: flags.all || undefined,
      live: flags.live || undefined,
      limit: flags.limit,
    })
    return this.list(found, claimColumns, 'There are no claims.')
  }
}
