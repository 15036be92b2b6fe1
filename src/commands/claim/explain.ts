import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {readClaim} from '../../cli/claim-input.ts'
import {usageError} from '../../cli/failure.ts'
import type {Column} from '../../cli/output/column.ts'
import type {Explanation} from '../../contract/schemas/claims.ts'

const nodeColumns: Column<Explanation['nodes'][number]>[] = [
  {name: 'node', value: ({node}) => node},
  {name: 'fits', value: ({fits}) => (fits ? 'yes' : 'no')},
  {name: 'reason', value: ({reason}) => reason},
]

export default class ClaimExplain extends BaseCommand {
  static override summary = 'Say why a claim waits: for each node the first need that it does not meet.'
  static override description = 'With -f it says where a claim would fit that is not submitted.'
  static override examples = [
    '<%= config.bin %> claim explain train',
    '<%= config.bin %> claim explain -f train.yml -o json',
  ]
  static override args = {claim: Args.string({description: 'id or name'})}
  static override flags = {
    file: Flags.string({char: 'f', description: 'YAML file with a claim', helpValue: '<file>', exclusive: []}),
  }

  async run(): Promise<Explanation> {
    const {args, flags} = await this.parse(ClaimExplain)
    const client = this.client(flags)
    if ((args.claim === undefined) === (flags.file === undefined)) {
      throw usageError('Which claim?', 'Give the name of a claim, or -f FILE.')
    }
    const explanation = args.claim
      ? await client.call('claims.explain', {id: args.claim})
      : await client.call('claims.explainSpec', await readClaim(flags, []))
    this.log(explanation.verdict)
    if (explanation.position !== null) {
      this.log(`Position ${explanation.position} in the queue; ${explanation.waitingAhead} ahead of it.`)
    }
    if (explanation.nodes.length > 0) await this.list(explanation.nodes, nodeColumns, '')
    return explanation
  }
}
