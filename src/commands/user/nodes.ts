import {Args} from '@oclif/core'
import {ListCommand} from '../../cli/list-command.ts'
import {assignedColumns} from '../../cli/site-listings.ts'
import type {AssignedNode} from '../../contract/schemas/auth.ts'

export default class UserNodes extends ListCommand {
  static override summary = 'List the nodes that a user administers.'
  static override examples = ['<%= config.bin %> user nodes ops', '<%= config.bin %> user nodes ops -o name']
  static override args = {user: Args.string({description: 'id or user name', required: true})}

  async run(): Promise<AssignedNode[]> {
    const {args, flags} = await this.parse(UserNodes)
    const found = await this.client(flags).call('users.nodes', {id: args.user})
    return this.list(found, assignedColumns, `${args.user} administers no nodes of his own.`)
  }
}
