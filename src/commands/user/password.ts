import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import type {GlobalFlags} from '../../cli/global-flags.ts'
import {ask, readStdin} from '../../cli/prompt.ts'
import {readNewSecret, readSecretFile, secretFlags} from '../../cli/secret-input.ts'
import type {Client} from '../../client/client.ts'
import type {OutputOf} from '../../contract/contract.ts'

interface PasswordOutput {
  username: string
  /** The login here goes on; all others of this user are over. */
  loginKept: boolean
}

export default class UserPassword extends ChangeCommand {
  static override summary = 'Change a password: your own, or as an administrator that of another user.'
  static override description =
    'Ends all other logins of the user. Your own wants the current one too: with --password-stdin it is the first line, the new one the second.'
  static override examples = [
    '<%= config.bin %> user password',
    'printf "%s\\n" "$OLD" "$NEW" | <%= config.bin %> user password --password-stdin',
    '<%= config.bin %> user password ada --password-file /run/secrets/ada',
  ]
  static override args = {user: Args.string({description: 'user name or id; yourself unless given', ignoreStdin: true})}
  static override flags = {
    ...secretFlags,
    'current-password-file': Flags.string({
      description: 'read the current password from a file',
      helpValue: '<file>',
      exclusive: ['password-stdin'],
    }),
  }

  async run(): Promise<PasswordOutput> {
    const {args, flags} = await this.parse(UserPassword)
    const client = this.client(flags)
    const me = await client.call('auth.whoami', {}, {prepares: true})
    if (args.user !== undefined && args.user !== me.username && args.user !== me.id) {
      const password = await readNewSecret(flags, `New password of ${args.user}`, this.mode.mayAsk)
      const {username} = await client.call('users.update', {id: args.user, password})
      this.say(`${username} has a new password; all logins of ${username} are over.`)
      return {username, loginKept: true}
    }
    const loginKept = await this.#changeOwn(client, me, flags)
    this.say(`Your password is changed${loginKept ? '' : '; log in again'}. All other logins are over.`)
    return {username: me.username, loginKept}
  }

  /** False when the login here is over, too: it stands where it cannot be replaced. */
  async #changeOwn(
    client: Client,
    me: OutputOf<'auth.whoami'>,
    flags: GlobalFlags & {'password-stdin'?: boolean; 'password-file'?: string; 'current-password-file'?: string},
  ): Promise<boolean> {
    const choice = this.choose(flags)
    const found = await this.findToken(choice)
    const {token} = await client.call('auth.changePassword', await this.#readBoth(flags))
    if (me.credential === 'token') return true
    if (!choice.context || (found?.from !== 'file' && found?.from !== 'keyring')) return false
    await this.credentials().save(choice.server, choice.context.name, token, found.from)
    return true
  }

  async #readBoth(flags: {
    'password-stdin'?: boolean
    'password-file'?: string
    'current-password-file'?: string
  }): Promise<{current: string; password: string}> {
    const {mayAsk} = this.mode
    if (flags['password-stdin']) {
      const [current, password, ...more] = (await readStdin()).split(/\r?\n/)
      if (!current || !password || more.length > 0) {
        throw usageError('Standard input holds not two lines.', 'Give the current password, then the new one.')
      }
      return {current, password}
    }
    const file = flags['current-password-file']
    const instead = '--current-password-file, or both by --password-stdin'
    const current = file
      ? await readSecretFile(file)
      : await ask({kind: 'password', message: 'Current password', instead, mayAsk})
    return {current, password: await readNewSecret(flags, 'New password', mayAsk)}
  }
}
