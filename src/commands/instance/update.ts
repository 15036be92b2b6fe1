import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {claimFlags, readCpus} from '../../cli/claim-input.ts'
import {usageError} from '../../cli/failure.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceUpdate extends ChangeCommand {
  static override summary = 'Change what is noted of an instance, or what it may use.'
  static override description =
    'Limits reach a container that runs without a restart, and stay when it or the machine starts anew. More than its node has to give is refused, and so are other limits for an instance that was made from a spec: they were sold with it, and only a super administrator changes them. What the runtime would not take, as less memory than is in use, stands in the warnings of `gpuctl instance get`.'
  static override examples = [
    '<%= config.bin %> instance update train --remark "until Friday"',
    '<%= config.bin %> instance update train --remark "" --name train-old',
    '<%= config.bin %> instance update train --cpus 4 --memory 16GiB --restart on-failure',
  ]
  static override args = {instance: Args.string({description: 'id or name', required: true})}
  static override flags = {
    remark: Flags.string({description: 'a note for people, at most 512 characters; "" takes it away'}),
    name: Flags.string({description: 'new name, as of `gpuctl instance rename`'}),
    cpus: claimFlags.cpus,
    memory: claimFlags.memory,
    restart: Flags.option({
      description: 'when the workload ends',
      options: ['never', 'on-failure', 'always'] as const,
    })(),
  }

  async run(): Promise<Instance> {
    const {args, flags} = await this.parse(InstanceUpdate)
    const {remark, name, memory: memoryMiB, restart} = flags
    const change = {remark, name, cpus: readCpus(flags.cpus), memoryMiB, restart}
    if (Object.values(change).every(value => value === undefined)) {
      throw usageError('What should change?', 'Give --remark, --name, --cpus, --memory or --restart.')
    }
    const instance = await this.client(flags).call('instances.update', {id: args.instance, ...change})
    this.say(`${instance.name} is changed.`, instance)
    return instance
  }
}
