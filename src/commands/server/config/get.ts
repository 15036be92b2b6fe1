import {Args} from '@oclif/core'
import {exitCode} from '../../../cli/exit-codes.ts'
import {Failure} from '../../../cli/failure.ts'
import {ListCommand} from '../../../cli/list-command.ts'
import {settingColumns} from '../../../cli/listings.ts'
import type {Setting} from '../../../contract/schemas/settings.ts'

export default class ServerConfigGet extends ListCommand {
  static override summary = 'Show the settings of a server, or one of them.'
  static override examples = [
    '<%= config.bin %> server config get',
    '<%= config.bin %> server config get auth.registration -o json',
  ]
  static override args = {name: Args.string({description: 'name of a setting; all unless given'})}

  async run(): Promise<Setting[] | Setting> {
    const {args, flags} = await this.parse(ServerConfigGet)
    const all = await this.client(flags).call('settings.list', {})
    if (args.name === undefined) return this.list(all, settingColumns, 'There are no settings.')
    const found = all.find(({name}) => name === args.name)
    if (found) return this.show(found, [[found.name, found.value]])
    const hint = `There are ${all.map(({name}) => name).join(', ')}.`
    throw new Failure('not_found', `There is no setting ${args.name}.`, {hint, exitCode: exitCode.notFound})
  }
}
