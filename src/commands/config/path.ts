import {BaseCommand} from '../../cli/base-command.ts'
import {configPath} from '../../cli/settings.ts'

export default class ConfigPath extends BaseCommand {
  static override summary = 'Print where your own settings file lies.'
  static override examples = ['<%= config.bin %> config path', 'ls -l "$(<%= config.bin %> config path)"']

  async run(): Promise<{path: string}> {
    await this.parse(ConfigPath)
    const path = configPath(process.env)
    this.log(path)
    return {path}
  }
}
