import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

export default class NodeDelete extends BaseCommand {
  static override summary = 'Forget a node and revoke its key.'
  static override description = 'While work runs there it asks for the name of the node by --confirm.'
  static override examples = [
    '<%= config.bin %> node delete gpu-03 --yes',
    '<%= config.bin %> node delete gpu-03 --confirm gpu-03',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {
    confirm: Flags.string({description: 'name of the node once more; needed while it has work', helpValue: '<name>'}),
  }

  async run(): Promise<{done: true}> {
    const {args, flags} = await this.parse(NodeDelete)
    if (flags.confirm === undefined) await this.consent(`Forget node ${args.node}? It must join anew.`, flags)
    const done = await this.client(flags).call('nodes.delete', {id: args.node, confirm: flags.confirm})
    this.say(`${args.node} is forgotten; its key is revoked.`, {id: args.node, name: args.node})
    if (flags.confirm !== undefined)
      this.notice(
        'Its claims have failed. What ran there is ended; on a machine that did not answer it runs on: end it by hand.',
      )
    return done
  }
}
