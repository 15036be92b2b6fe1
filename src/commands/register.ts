import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {ask} from '../cli/prompt.ts'
import {inClear, readNewSecret, readSecretFile, secretFlags} from '../cli/secret-input.ts'
import type {User} from '../contract/schemas/auth.ts'

export default class Register extends BaseCommand {
  static override summary = 'Make an account of your own, where the server allows it.'
  static override description =
    'The account begins without any GPU: an administrator gives a quota. Where the server wants an invitation, an administrator makes it with `user invite`.'
  static override examples = [
    '<%= config.bin %> register https://gpu.example.org -u ada',
    'pass show gpuctl | <%= config.bin %> register -u ada --password-stdin --invitation-file invitation',
  ]
  static override args = {server: Args.string({description: 'address of the server', ignoreStdin: true})}
  static override flags = {
    username: Flags.string({char: 'u', description: 'user name'}),
    ...secretFlags,
    'invitation-file': Flags.string({description: 'read the invitation from a file', helpValue: '<file>'}),
  }

  async run(): Promise<User> {
    const {args, flags} = await this.parse(Register)
    const choice = this.choose({...flags, server: args.server ?? flags.server})
    const {server} = choice
    const warning = inClear(server)
    if (warning) this.notice(warning)
    const {mayAsk} = this.mode
    const username = flags.username ?? (await ask({kind: 'input', message: 'User name', instead: '-u USER', mayAsk}))
    const password = await readNewSecret(flags, 'Password', mayAsk)
    const file = flags['invitation-file']
    const invitation = file === undefined ? undefined : (await readSecretFile(file)).trim()
    const client = this.clientFor(choice, async () => undefined, flags)
    const user = await client.call('auth.register', {username, password, invitation})
    this.say(`${user.username} has an account at ${server}, with no GPU yet.`, user)
    this.hint(`Next: gpuctl login ${server} -u ${user.username}`)
    return user
  }
}
