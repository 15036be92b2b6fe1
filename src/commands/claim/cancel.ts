import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {durationFlag} from '../../cli/units.ts'
import type {Claim} from '../../contract/schemas/claims.ts'

export default class ClaimCancel extends BaseCommand {
  static override summary = 'End a claim and give its GPUs back.'

  static override examples = ['<%= config.bin %> claim cancel train', '<%= config.bin %> claim cancel train --grace 2m']
  static override args = {claim: Args.string({description: 'id or name', required: true})}
  static override flags = {grace: durationFlag({description: 'time for the workload to end by itself'})}

  async run(): Promise<Claim> {
    const {args, flags} = await this.parse(ClaimCancel)

    const claim = await this.client(flags).call('claims.cancel', {
      id: args.claim,
      graceSeconds: flags.grace === undefined ? undefined : Math.round(flags.grace / 1000),
    })
    this.say(`Claim ${claim.name} is ${claim.status.phase}.`, claim)
    return claim
  }
}
