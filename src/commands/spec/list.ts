import {ListCommand} from '../../cli/list-command.ts'
import {specColumns} from '../../cli/listings.ts'
import type {Spec} from '../../contract/schemas/catalogue.ts'

export default class SpecList extends ListCommand {
  static override summary = 'List the specs of the catalogue.'

  static override examples = ['<%= config.bin %> spec list', '<%= config.bin %> spec list -o csv']

  async run(): Promise<Spec[]> {
    const {flags} = await this.parse(SpecList)
    const found = await this.client(flags).call('specs.list', {})
    return this.list(found, specColumns, 'The catalogue has no specs.')
  }
}
