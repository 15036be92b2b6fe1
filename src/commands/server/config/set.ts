import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import type {Setting} from '../../../contract/schemas/settings.ts'

export default class ServerConfigSet extends ChangeCommand {
  static override summary = 'Change a setting of a server; it holds at once.'
  static override examples = [
    '<%= config.bin %> server config set auth.registration closed',
    '<%= config.bin %> server config set auth.registration invite',
    '<%= config.bin %> server config set join.legacy_poll any --i-know',
  ]
  static override args = {
    name: Args.string({description: 'name of the setting', required: true}),
    value: Args.string({description: 'what it shall be', required: true}),
  }

  static override flags = {
    'i-know': Flags.boolean({
      description: 'for values that open what is closed for good reason, as join.legacy_poll any',
    }),
  }

  async run(): Promise<Setting> {
    const {args, flags} = await this.parse(ServerConfigSet)
    const setting = await this.client(flags).call('settings.set', {
      ...{name: args.name, value: args.value},
      ...(flags['i-know'] ? {iKnow: true} : {}),
    })
    this.say(`${setting.name} is ${setting.value}.`, setting)
    return setting
  }
}
