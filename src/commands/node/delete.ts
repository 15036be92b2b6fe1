import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'

export default class NodeDelete extends ChangeCommand {
  static override summary = 'Forget a node and revoke its key.'
  static override description = 'While work runs there it asks for the name of the node by --confirm.'
  static override examples = [
    '<%= config.bin %> node delete gpu-03 --yes',
    '<%= config.bin %> node delete gpu-03 --confirm gpu-03',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'id or name; may be repeated', required: true})}
  static override flags = {
    confirm: Flags.string({description: 'name of the node once more; needed while it has work', helpValue: '<name>'}),
  }

  async run(): Promise<Several<{done: true}>> {
    const {argv, flags} = await this.parse(NodeDelete)
    const client = this.client(flags)
    return this.each(argv, async id => {
      if (flags.confirm === undefined) await this.consent(`Forget node ${id}? It must join anew.`, flags)
      const done = await this.confirmed(flags.confirm, confirm => client.call('nodes.delete', {id, confirm}))
      this.say(`${id} is forgotten; its key is revoked.`, {id, name: id})
      if (flags.confirm !== undefined)
        this.notice(
          'Its claims have failed. What ran there is ended; on a machine that did not answer it runs on: end it by hand.',
        )
      return done
    })
  }
}
