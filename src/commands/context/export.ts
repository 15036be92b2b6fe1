import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {unknownContext} from '../../cli/context.ts'
import {writePlainYaml} from '../../cli/plain-yaml.ts'
import {writeContext} from '../../cli/settings.ts'

export default class ContextExport extends BaseCommand {
  static override summary = 'Print known servers as a settings file for other machines; without tokens.'
  static override description = 'What is printed may be put in /etc/gpuctl/config.yml, or shared: it holds no secret.'
  static override examples = [
    '<%= config.bin %> context export > config.yml',
    '<%= config.bin %> context export lab | sudo tee /etc/gpuctl/config.yml',
  ]
  static override args = {name: Args.string({description: 'name of one; all unless given'})}

  async run(): Promise<{contexts: Record<string, object>}> {
    const {args} = await this.parse(ContextExport)
    const {contexts} = this.settings
    if (args.name !== undefined && !contexts[args.name]) throw unknownContext(args.name, this.settings)
    const chosen = Object.values(contexts).filter(({name}) => args.name === undefined || name === args.name)
    const tree = {contexts: Object.fromEntries(chosen.map(one => [one.name, writeContext({...one, user: undefined})]))}
    this.log(writePlainYaml(tree).trimEnd())
    return tree
  }
}
