import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {instanceState} from '../../cli/instance-state.ts'
import {durationFlag} from '../../cli/units.ts'
import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceStop extends ChangeCommand {
  static override summary = 'Stop an instance; it keeps its GPUs.'
  static override examples = [
    '<%= config.bin %> instance stop train',
    '<%= config.bin %> instance stop train --no-wait --grace 30s',
  ]
  static override strict = false
  static override args = {instance: Args.string({description: 'id or name; may be repeated', required: true})}
  static override flags = {
    wait: Flags.boolean({description: 'until it is done', default: true, allowNo: true}),
    grace: durationFlag({description: 'time for the workload to end by itself'}),
  }

  async run(): Promise<Several<Instance>> {
    const {argv, flags} = await this.parse(InstanceStop)
    const client = this.client(flags)
    const graceSeconds = flags.grace === undefined ? undefined : Math.round(flags.grace / 1000)
    return this.each(argv, async id => {
      const asked = await client.call('instances.stop', {id, graceSeconds})
      const instance = flags.wait
        ? await instanceState(client, asked, 'exited', {timeoutMs: flags.timeout, quiet: this.mode.quiet})
        : asked
      this.say(`${instance.name} is ${instance.status}.`, instance)
      return instance
    })
  }
}
