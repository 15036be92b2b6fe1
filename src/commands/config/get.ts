import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {preferenceNamed} from '../../cli/preferences.ts'

export default class ConfigGet extends BaseCommand {
  static override summary = 'Show one setting of this command line.'
  static override description =
    'What holds: of the environment, else of the files. Nothing is printed where it is not set.'
  static override examples = ['<%= config.bin %> config get output', '<%= config.bin %> config get timeout -o json']
  static override args = {name: Args.string({description: 'name of the setting', required: true})}

  async run(): Promise<{name: string; value: string | null}> {
    const {args} = await this.parse(ConfigGet)
    const value = process.env[preferenceNamed(args.name).variable] || null
    if (value !== null) this.log(value)
    return {name: args.name, value}
  }
}
