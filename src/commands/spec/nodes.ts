import {Args} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {matchColumns} from '../../cli/listings.ts'
import type {MatchedNode} from '../../contract/schemas/instances.ts'

export default class SpecNodes extends ListCommand {
  static override summary = 'Show how often each node could take a spec now.'
  static override examples = ['<%= config.bin %> spec nodes small', '<%= config.bin %> spec nodes small -o csv']
  static override args = {spec: Args.string({description: 'id or name', required: true})}

  async run(): Promise<MatchedNode[]> {
    const {args, flags} = await this.parse(SpecNodes)
    const found = await this.client(flags).call('instances.match', {spec: args.spec, all: true})
    return this.list(found, matchColumns, 'There are no nodes.')
  }
}
