import {ListCommand} from '../../cli/list-command.ts'
import {modelColumns} from '../../cli/listings.ts'
import type {Model} from '../../contract/schemas/models.ts'

export default class ModelList extends ListCommand {
  static override summary = 'List the models that can be called, and how many runtimes hold them.'
  static override examples = ['<%= config.bin %> model list', '<%= config.bin %> model list -o json']

  async run(): Promise<Model[]> {
    const {flags} = await this.parse(ModelList)
    const found = await this.client(flags).call('models.list', {})
    return this.list(found, modelColumns, 'No runtime has registered and been approved yet.')
  }
}
