import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import {durationFlag} from '../../cli/units.ts'
import type {Client} from '../../client/client.ts'
import type {Claim} from '../../contract/schemas/claims.ts'

export default class ClaimCancel extends ChangeCommand {
  static override summary = 'End a claim and give its GPUs back.'

  static override description =
    'With --all it ends all of yours that are not finished, never those of others, and asks first.'
  static override examples = [
    '<%= config.bin %> claim cancel train',
    '<%= config.bin %> claim cancel train --grace 2m',
    '<%= config.bin %> claim cancel --all --mine --yes',
  ]
  static override strict = false
  static override args = {claim: Args.string({description: 'id or name; may be repeated'})}
  static override flags = {
    all: Flags.boolean({description: 'all of yours that are not finished'}),
    mine: Flags.boolean({description: 'says what --all means', dependsOn: ['all']}),
    grace: durationFlag({description: 'time for the workload to end by itself'}),
  }

  async run(): Promise<Several<Claim>> {
    const {argv, flags} = await this.parse(ClaimCancel)
    if (argv.length > 0 === flags.all) throw usageError('Which claims?', 'Give their ids or names, or --all.')
    const client = this.client(flags)
    const graceSeconds = flags.grace === undefined ? undefined : Math.round(flags.grace / 1000)
    const cancel = async (id: string) => {
      const claim = await client.call('claims.cancel', {id, graceSeconds})
      this.say(`Claim ${claim.name} is ${claim.status.phase}.`, claim)
      return claim
    }
    if (!flags.all) return this.each(argv, cancel)
    const live = await liveClaims(client)
    if (live.length === 0) {
      this.say('None of your claims is live.')
      return []
    }
    await this.consent(`Cancel ${live.map(({name}) => name).join(', ')}?`, flags)
    const ids = live.map(({id}) => id)
    return [await this.each(ids, cancel)].flat() as Several<Claim>
  }
}

async function liveClaims(client: Client): Promise<Claim[]> {
  const limit = 1000
  const found: Claim[] = []
  for (;;) {
    const page = await client.call('claims.list', {live: true, limit, offset: found.length})
    found.push(...page)
    if (page.length < limit) return found
  }
}
