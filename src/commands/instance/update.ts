import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceUpdate extends ChangeCommand {
  static override summary = 'Change what is noted of an instance.'
  static override examples = [
    '<%= config.bin %> instance update train --remark "until Friday"',
    '<%= config.bin %> instance update train --remark "" --name train-old',
  ]
  static override args = {instance: Args.string({description: 'id or name', required: true})}
  static override flags = {
    remark: Flags.string({description: 'a note for people, at most 512 characters; "" takes it away'}),
    name: Flags.string({description: 'new name, as of `gpuctl instance rename`'}),
  }

  async run(): Promise<Instance> {
    const {args, flags} = await this.parse(InstanceUpdate)
    const {remark, name} = flags
    if (remark === undefined && name === undefined) throw usageError('What should change?', 'Give --remark or --name.')
    const instance = await this.client(flags).call('instances.update', {id: args.instance, remark, name})
    this.say(`${instance.name} is changed.`, instance)
    return instance
  }
}
