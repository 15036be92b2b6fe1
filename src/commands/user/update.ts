import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {User} from '../../contract/schemas/auth.ts'

export default class UserUpdate extends ChangeCommand {
  static override summary = 'Change what a user may do.'
  static override description =
    'Another role ends all logins of the user. Passwords: `user password`; locking out: `user disable`.'
  static override examples = [
    '<%= config.bin %> user update ada --gpus 8',
    '<%= config.bin %> user update ops --role node_admin --max-priority 50',
  ]
  static override args = {user: Args.string({description: 'id or user name', required: true})}
  static override flags = {
    role: Flags.option({
      description: 'what the user may do',
      options: ['super_admin', 'node_admin', 'user', 'viewer'] as const,
    })(),
    gpus: Flags.integer({description: 'GPUs that the user may hold', min: 0}),
    'max-priority': Flags.integer({description: 'highest priority of the claims', min: -100, max: 100}),
  }

  async run(): Promise<User> {
    const {args, flags} = await this.parse(UserUpdate)
    const change = {role: flags.role, gpuQuota: flags.gpus, maxPriority: flags['max-priority']}
    if (Object.values(change).every(value => value === undefined)) {
      throw usageError('There is nothing to change.', 'Give --role, --gpus or --max-priority.')
    }
    const user = await this.client(flags).call('users.update', {id: args.user, ...change})
    this.say(`${user.username} is changed.`, user)
    return user
  }
}
