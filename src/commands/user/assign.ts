import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {AssignedNode} from '../../contract/schemas/auth.ts'

export default class UserAssign extends ChangeCommand {
  static override summary = 'Give nodes to a user who administers them.'
  static override description =
    'A user with the role node_admin sees the storage, sites and backups of the nodes that are his, and of no others.'
  static override examples = [
    '<%= config.bin %> user assign ops --node gpu-03',
    '<%= config.bin %> user assign ops --node gpu-03 --node gpu-04',
  ]
  static override args = {user: Args.string({description: 'id or user name', required: true})}
  static override flags = {
    node: Flags.string({
      description: 'id or name; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
      required: true,
    }),
  }

  async run(): Promise<AssignedNode[]> {
    const {args, flags} = await this.parse(UserAssign)
    const client = this.client(flags)
    const given: AssignedNode[] = []
    for (const node of flags.node) {
      given.push(await client.call('users.assign', {id: args.user, node}))
      this.say(`${args.user} administers ${given.at(-1)?.name}.`, given.at(-1))
    }
    return given
  }
}
