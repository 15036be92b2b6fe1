import {Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {durationFlag} from '../../cli/units.ts'
import type {OutputOf} from '../../contract/contract.ts'

export default class UserInvite extends ChangeCommand {
  static override summary = 'Make an invitation with which people register themselves. It is shown this once.'
  static override description =
    'Good for one account and a week unless said. `node join-token revoke NAME` takes it back.'
  static override examples = [
    '<%= config.bin %> user invite',
    '<%= config.bin %> user invite --uses 20 --ttl 2d -o json',
  ]
  static override flags = {
    uses: Flags.integer({description: 'how many people may register with it', min: 1}),
    ttl: durationFlag({description: 'how long it is good'}),
  }

  async run(): Promise<OutputOf<'users.invite'>> {
    const {flags} = await this.parse(UserInvite)
    const invitation = await this.client(flags).call('users.invite', {
      uses: flags.uses,
      ttlSeconds: flags.ttl === undefined ? undefined : Math.round(flags.ttl / 1000),
    })
    const {name, usesLeft, expiresAt, secret} = invitation
    this.notice(`${name}: for ${usesLeft} accounts, until ${expiresAt}. It is not shown again.`)
    this.log(secret)
    const server = await this.serverUrl(flags)
    this.hint(`With the invitation in a file: gpuctl register ${server} --invitation-file FILE`)
    return invitation
  }
}
