import {Args} from '@oclif/core'
import {GetCommand} from '../../cli/list-command.ts'
import {percent} from '../../cli/output/figures.ts'
import type {Model} from '../../contract/schemas/models.ts'

export default class ModelGet extends GetCommand {
  static override summary = 'Show a model: whether it can be called, and the runtimes that hold it.'
  static override examples = [
    '<%= config.bin %> model get gpt-oss-20b',
    '<%= config.bin %> model get gpt-oss-20b -o json',
  ]
  static override args = {model: Args.string({description: 'name of the model', required: true})}

  async run(): Promise<Model> {
    const {args, flags} = await this.parse(ModelGet)
    const model = await this.client(flags).call('models.get', {id: args.model})
    const {downloadProgress} = model
    return this.show(model, [
      ['Model', model.id],
      ['Status', downloadProgress === null ? model.status : `${model.status}, ${percent(downloadProgress * 100)}`],
      ['For', model.kinds.join(', ')],
      ...model.runtimes.map((runtime): [string, string] => ['Runtime', `${runtime.name}: ${inWords(runtime)}`]),
    ])
  }
}

function inWords({status, loaded, excluded, activeRequests}: Model['runtimes'][number]): string {
  return [
    status,
    ...(loaded ? ['loaded'] : []),
    ...(excluded ? ['not asked: it failed with this model'] : []),
    ...(activeRequests > 0 ? [`${activeRequests} requests`] : []),
  ].join(', ')
}
