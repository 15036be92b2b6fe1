import {Flags} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {matchColumns} from '../../cli/listings.ts'
import type {MatchedNode} from '../../contract/schemas/instances.ts'

export default class InstanceMatch extends ListCommand {
  static override summary = 'Show which nodes could take an instance now, best fit first, and why others could not.'
  static override examples = [
    '<%= config.bin %> instance match --spec small',
    '<%= config.bin %> instance match --spec small --fitting -o name',
  ]
  static override flags = {
    spec: Flags.string({description: 'spec of the catalogue', required: true}),
    fitting: Flags.boolean({description: 'only nodes that could'}),
  }

  async run(): Promise<MatchedNode[]> {
    const {flags} = await this.parse(InstanceMatch)
    const found = await this.client(flags).call('instances.match', {spec: flags.spec, all: !flags.fitting})
    return this.list(found, matchColumns, 'No node could take it now.')
  }
}
