import {BaseCommand} from '../cli/base-command.ts'
import {type DescribedCommand, readCommands, usageOf} from '../cli/manifest.ts'

export default class Commands extends BaseCommand {
  static override summary = 'List all commands, for tools.'
  static override description = 'With -o json each has its arguments and flags too, as in the manifest of the package.'
  static override examples = ['<%= config.bin %> commands', '<%= config.bin %> commands -o json']

  async run(): Promise<DescribedCommand[]> {
    await this.parse(Commands)
    const all = (await readCommands(this.config.root)).map(({id, summary, description, examples, args, flags}) => ({
      ...{id, summary, description},
      examples: examples?.map(line => line.replaceAll('<%= config.bin %>', this.config.bin)),
      ...{args, flags},
    }))
    const columns = [
      {name: 'command', value: usageOf},
      {name: 'summary', value: ({summary}: DescribedCommand) => summary},
    ]
    return this.list(all, columns, 'There are no commands.')
  }
}
