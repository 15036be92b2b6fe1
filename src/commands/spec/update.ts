import {Args, Flags} from '@oclif/core'
import {readSpec, specFlags} from '../../cli/catalogue-input.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {Spec} from '../../contract/schemas/catalogue.ts'

export default class SpecUpdate extends ChangeCommand {
  static override summary = 'Change a spec of the catalogue.'
  static override description =
    'What no flag names stays as it is. Instances that were made from it keep what they have.'
  static override examples = [
    '<%= config.bin %> spec update small --price 0.9',
    '<%= config.bin %> spec update small --no-listed --name small-2024',
  ]
  static override args = {spec: Args.string({description: 'id or name', required: true})}
  static override flags = {...specFlags, name: Flags.string({description: 'its new name'})}

  async run(): Promise<Spec> {
    const {args, flags} = await this.parse(SpecUpdate)
    const change = {name: flags.name, ...readSpec(flags)}
    if (Object.values(change).every(value => value === undefined)) throw usageError('Nothing is to be changed.')
    const spec = await this.client(flags).call('specs.update', {id: args.spec, ...change})
    this.say(`Spec ${spec.name} is changed.`, spec)
    return spec
  }
}
