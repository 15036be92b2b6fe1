import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class NodeReject extends ChangeCommand {
  static override summary = 'Refuse a waiting node; its code is dead at once.'

  static override examples = [
    '<%= config.bin %> node reject XK7M2',
    '<%= config.bin %> node reject XK7M2 --reason "not ours"',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'code, id or name; may be repeated', required: true})}
  static override flags = {reason: Flags.string({description: 'why; the machine is told'})}

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(NodeReject)
    const client = this.client(flags)
    return this.each(argv, async id => {
      const done = await client.call('nodes.reject', {node: id, reason: flags.reason})
      this.say(`${id} is refused.`, {id, name: id})
      return done
    })
  }
}
