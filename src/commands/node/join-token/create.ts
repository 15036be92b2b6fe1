import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import {durationFlag, labelFlag, readPairs} from '../../../cli/units.ts'
import type {OutputOf} from '../../../contract/contract.ts'

export default class NodeJoinTokenCreate extends ChangeCommand {
  static override summary = 'Create a token with which machines join without a typed code. It is shown this once.'
  static override examples = [
    '<%= config.bin %> node join-token create rack-7 --uses 8 --ttl 1h --auto-approve',
    '<%= config.bin %> node join-token create -o json',
  ]
  static override args = {name: Args.string({description: 'name of the token'})}
  static override flags = {
    uses: Flags.integer({description: 'how many machines may join with it', min: 1}),
    ttl: durationFlag({description: 'how long it is good'}),
    'auto-approve': Flags.boolean({description: 'machines with it need no approval'}),
    label: labelFlag,
  }

  async run(): Promise<OutputOf<'joinTokens.create'>> {
    const {args, flags} = await this.parse(NodeJoinTokenCreate)
    const token = await this.client(flags).call('joinTokens.create', {
      name: args.name,
      uses: flags.uses,
      ttlSeconds: flags.ttl === undefined ? undefined : Math.round(flags.ttl / 1000),
      autoApprove: flags['auto-approve'] || undefined,
      labels: readPairs(flags.label, '--label'),
    })
    this.notice(`Join token ${token.name}: ${token.usesLeft} uses, until ${token.expiresAt}. It is not shown again.`)
    this.log(token.secret)
    this.hint(
      `On the machine, with the token in a file: gpuctl agent start --server ${await this.serverUrl(flags)} --join-token-file FILE`,
    )
    return token
  }
}
