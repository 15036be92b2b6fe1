import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {claimColumns} from '../../cli/listings.ts'
import type {Claim} from '../../contract/schemas/claims.ts'

export default class ClaimList extends ListCommand {
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
    mine: Flags.boolean({description: 'yours alone, as without --all', exclusive: ['all']}),
    all: Flags.boolean({description: 'of all users (administrators)'}),
    live: Flags.boolean({description: 'only unfinished ones'}),
  }

  async run(): Promise<Claim[]> {
    const {flags} = await this.parse(ClaimList)
    const client = this.client(flags)
    const {phase} = flags
    const [all, live] = [flags.all || undefined, flags.live || undefined]
    const found = await this.pages(flags, page => client.call('claims.list', {phase, all, live, ...page}))
    return this.list(found, claimColumns, 'There are no claims.')
  }
}
