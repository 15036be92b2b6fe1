import {Args} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {durationFlag} from '../../cli/units.ts'
import type {Claim} from '../../contract/schemas/claims.ts'

export default class ClaimCancel extends ChangeCommand {
  static override summary = 'End a claim and give its GPUs back.'

  static override examples = ['<%= config.bin %> claim cancel train', '<%= config.bin %> claim cancel train --grace 2m']
  static override strict = false
  static override args = {claim: Args.string({description: 'id or name; may be repeated', required: true})}
  static override flags = {grace: durationFlag({description: 'time for the workload to end by itself'})}

  async run(): Promise<Several<Claim>> {
    const {argv, flags} = await this.parse(ClaimCancel)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const claim = await client.call('claims.cancel', {
        id,
        graceSeconds: flags.grace === undefined ? undefined : Math.round(flags.grace / 1000),
      })
      this.say(`Claim ${claim.name} is ${claim.status.phase}.`, claim)
      return claim
    })
  }
}
