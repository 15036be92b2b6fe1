import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {AssignedNode} from '../../contract/schemas/auth.ts'

export default class UserUnassign extends ChangeCommand {
  static override summary = 'Take nodes away from a user who administers them.'
  static override examples = [
    '<%= config.bin %> user unassign ops --node gpu-03',
    '<%= config.bin %> user unassign ops --node gpu-03 --node gpu-04',
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
    const {args, flags} = await this.parse(UserUnassign)
    const client = this.client(flags)
    const taken: AssignedNode[] = []
    for (const node of flags.node) {
      taken.push(await client.call('users.unassign', {id: args.user, node}))
      this.say(`${args.user} does not administer ${taken.at(-1)?.name} any more.`, taken.at(-1))
    }
    return taken
  }
}
