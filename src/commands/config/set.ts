import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {setPreference} from '../../cli/context.ts'
import {preferenceNamed, preferences} from '../../cli/preferences.ts'

const known = Object.entries(preferences).map(([name, {description}]) => `${name} (${description})`)

export default class ConfigSet extends BaseCommand {
  static override summary = 'Keep a default of this command line in your own settings file.'
  static override description = `Flags and environment come before it. Settings: ${known.join('; ')}.`
  static override examples = ['<%= config.bin %> config set output wide', '<%= config.bin %> config set timeout 10m']
  static override args = {
    name: Args.string({description: 'name of the setting', required: true}),
    value: Args.string({description: 'what it shall be', required: true, ignoreStdin: true}),
  }

  async run(): Promise<{name: string; value: string}> {
    const {args} = await this.parse(ConfigSet)
    const {name, value} = args
    preferenceNamed(name).check(value)
    await setPreference(name, value)
    this.say(`${name} is ${value}.`, {id: name, name})
    return {name, value}
  }
}
