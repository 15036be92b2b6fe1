import {Args} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceRename extends ChangeCommand {
  static override summary = 'Give an instance and its claim another name; what runs goes on.'
  static override description =
    'Names are unique among your live claims. A host name of `gpuctl instance ssh-config write` changes when that is run again.'
  static override examples = [
    '<%= config.bin %> instance rename train train-old',
    '<%= config.bin %> instance rename train train-old -q',
  ]
  static override args = {
    instance: Args.string({description: 'id or name', required: true}),
    name: Args.string({description: 'new name', required: true, ignoreStdin: true}),
  }

  async run(): Promise<Instance> {
    const {args, flags} = await this.parse(InstanceRename)
    const instance = await this.client(flags).call('instances.update', {id: args.instance, name: args.name})
    this.say(`${args.instance} is now ${instance.name}.`, instance)
    return instance
  }
}
