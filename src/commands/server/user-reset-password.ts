import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {readNewSecret, secretFlags} from '../../cli/secret-input.ts'
import {placeFlags} from './backup.ts'

interface ResetOutput {
  id: string
  username: string
  role: string
  /** The random one; null where one was given. */
  password: string | null
}

export default class ServerUserResetPassword extends BaseCommand {
  static override summary =
    'Break the glass: give a user another password, on the server’s own machine and without a login.'
  static override description =
    'Changes the store itself, whether the server runs or not; whoever may do that owns the machine. All logins and sessions of the user end; API tokens stay, see `token list`. It is written down in the audit.'
  static override examples = [
    '<%= config.bin %> server user-reset-password admin --generate',
    'pass gpuctl/ada | <%= config.bin %> server user-reset-password ada --password-stdin --enable',
  ]
  static override args = {user: Args.string({description: 'user name', required: true, ignoreStdin: true})}
  static override flags = {
    ...placeFlags,
    ...secretFlags,
    generate: Flags.boolean({
      description: 'make a random password and print it once',
      exclusive: ['password-stdin', 'password-file'],
    }),
    enable: Flags.boolean({description: 'let the user in again where it was disabled'}),
  }

  async run(): Promise<ResetOutput> {
    const {args, flags} = await this.parse(ServerUserResetPassword)
    const password = flags.generate
      ? undefined
      : await readNewSecret(flags, `New password of ${args.user} (or give --generate)`, this.mode.mayAsk)
    const {resetPassword} = await import('../../main/reset-password.ts')
    const place = {data: flags.data, database: flags.db}
    const done = await resetPassword({...place, username: args.user, password, enable: Boolean(flags.enable)})
    this.log(`${done.username} has a new password; all logins of ${done.username} are over.`)
    if (done.password) this.log(`Password: ${done.password}   (shown once)`)
    return done
  }
}
