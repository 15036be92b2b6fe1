import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {instanceState} from '../../cli/instance-state.ts'

import type {Instance} from '../../contract/schemas/instances.ts'

export default class InstanceStart extends ChangeCommand {
  static override summary = 'Start a stopped instance.'
  static override examples = [
    '<%= config.bin %> instance start train',
    '<%= config.bin %> instance start train --no-wait',
  ]
  static override strict = false
  static override args = {instance: Args.string({description: 'id or name; may be repeated', required: true})}
  static override flags = {
    wait: Flags.boolean({description: 'until it is done', default: true, allowNo: true}),
  }

  async run(): Promise<Several<Instance>> {
    const {argv, flags} = await this.parse(InstanceStart)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const asked = await client.call('instances.start', {id})
      const instance = flags.wait
        ? await instanceState(client, asked, 'running', {timeoutMs: flags.timeout, quiet: this.mode.quiet})
        : asked
      this.say(`${instance.name} is ${instance.status}.`, instance)
      return instance
    })
  }
}
