import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {readSecret, secretFlags} from '../../cli/secret-input.ts'
import type {User} from '../../contract/schemas/auth.ts'

export default class UserCreate extends ChangeCommand {
  static override summary = 'Create a user account.'
  static override description = 'The password is asked for, or comes from standard input or a file; never from a flag.'
  static override examples = [
    '<%= config.bin %> user create ada --gpus 4',
    '<%= config.bin %> user create ops --role node_admin --node gpu-03 --password-file /run/secrets/ops',
  ]
  static override args = {username: Args.string({description: 'user name', required: true})}
  static override flags = {
    ...secretFlags,
    role: Flags.option({
      description: 'what the user may do; user unless given',
      options: ['super_admin', 'node_admin', 'user', 'viewer'] as const,
    })(),
    gpus: Flags.integer({description: 'GPUs that the user may hold; 0 unless given', min: 0}),
    'max-priority': Flags.integer({description: 'highest priority of the claims', min: -100, max: 100}),
    node: Flags.string({
      description: 'a node that he administers as node_admin, by id or name; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
    }),
  }

  async run(): Promise<User> {
    const {args, flags} = await this.parse(UserCreate)
    const user = await this.client(flags).call('users.create', {
      username: args.username,
      password: await readSecret(flags, `Password of ${args.username}`, this.mode.mayAsk),
      role: flags.role,
      gpuQuota: flags.gpus,
      maxPriority: flags['max-priority'],
      nodes: flags.node,
    })
    this.say(`Created ${user.username} as ${user.role}.`, user)
    return user
  }
}
