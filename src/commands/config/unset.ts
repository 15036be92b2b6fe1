import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {setPreference} from '../../cli/context.ts'
import {preferenceNamed} from '../../cli/preferences.ts'

export default class ConfigUnset extends BaseCommand {
  static override summary = 'Take a default out of your own settings file.'
  static override examples = ['<%= config.bin %> config unset output', '<%= config.bin %> config unset timeout -o json']
  static override args = {name: Args.string({description: 'name of the setting', required: true})}

  async run(): Promise<{name: string; value: null}> {
    const {args} = await this.parse(ConfigUnset)
    preferenceNamed(args.name)
    await setPreference(args.name, undefined)
    this.say(`${args.name} is no longer set.`, {id: args.name, name: args.name})
    return {name: args.name, value: null}
  }
}
