import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {saveContext} from '../cli/context.ts'
import {usageError} from '../cli/failure.ts'
import {ask, readStdin} from '../cli/prompt.ts'
import {inClear, readSecret, secretFlags} from '../cli/secret-input.ts'
import {readServerUrl} from '../cli/settings.ts'
import {pinFor} from '../cli/trust.ts'
import type {Client} from '../client/client.ts'

interface LoginOutput {
  context: string
  server: string
  username: string
  role: string
  /** Where the token lies now. */
  storage: string
  expiresAt: string | null
  /** Only with --storage none, which keeps it nowhere. */
  token?: string
}

export default class Login extends BaseCommand {
  static override summary = 'Log in to a server and remember it as a context.'
  static override description =
    'A server whose certificate no known authority vouches for is known by the fingerprint of its certificate from then on: a person is asked, a script gives --fingerprint. Asks for user name and password. In a script: -u with --password-stdin or --password-file, or --token-stdin with an API token; or no login at all, with GPUCTL_SERVER and GPUCTL_TOKEN.'
  static override examples = [
    '<%= config.bin %> login https://gpu.example.org',
    'pass show gpuctl | <%= config.bin %> login https://gpu.example.org -u ada --password-stdin',
    '<%= config.bin %> login https://gpu.example.org --token-stdin --context ci < token',
    '<%= config.bin %> login https://10.0.0.5:8888 --fingerprint "$SHA256" -u ada --password-file pw',
  ]
  static override args = {server: Args.string({description: 'address of the server', ignoreStdin: true})}
  static override flags = {
    username: Flags.string({char: 'u', description: 'user name'}),
    ...secretFlags,
    'token-stdin': Flags.boolean({
      description: 'read an API token from standard input',
      exclusive: ['password-stdin', 'password-file', 'username'],
    }),
    fingerprint: Flags.string({
      description: 'SHA-256 of the certificate that the server must show, as `server status` prints it there',
      helpValue: '<sha256>',
    }),
    storage: Flags.option({description: 'where the token is kept', options: ['keyring', 'file', 'none'] as const})(),
  }

  async run(): Promise<LoginOutput> {
    const {args, flags} = await this.parse(Login)
    const {context: named, ...others} = flags
    const known = named !== undefined && this.settings.contexts[named] !== undefined
    const chosen = this.choose({...others, server: args.server ?? flags.server, context: known ? named : undefined})
    const pin = await pinFor(chosen, {fingerprint: flags.fingerprint, mayAsk: this.mode.mayAsk})
    const choice = {...chosen, pin}
    const warning = inClear(choice.server)
    if (warning) this.notice(warning)
    const client = (token?: string) => this.clientFor(choice, async () => token, flags)
    const token = flags['token-stdin'] ? await readStdin() : await this.#logIn(client(), flags)
    if (!/^[\x21-\x7e]+$/.test(token)) throw usageError('Standard input holds no token.')
    const {username, role, expiresAt} = await client(token).call('auth.whoami', {})
    const context = named ?? choice.context?.name ?? nameFor(choice.server)
    await saveContext(context, {server: choice.server, caCert: choice.caCert, user: username, pin, use: true})
    const storage = await this.credentials().save(choice.server, context, token, flags.storage)
    this.say(`Logged in to ${choice.server} as ${username} (${role}); context ${context} is now current.`)
    if (storage === 'none') this.log(token)
    return {context, server: choice.server, username, role, storage, expiresAt, ...(storage === 'none' ? {token} : {})}
  }

  async #logIn(
    client: Client,
    flags: {username?: string; 'password-stdin'?: boolean; 'password-file'?: string},
  ): Promise<string> {
    const {mayAsk} = this.mode
    const instead = '-u USER with --password-stdin or --password-file; or --token-stdin; or set GPUCTL_TOKEN'
    const username = flags.username ?? (await ask({kind: 'input', message: 'User name', instead, mayAsk}))
    const password = await readSecret(flags, 'Password', mayAsk)
    return (await client.call('auth.login', {username, password})).token
  }
}

function nameFor(server: string): string {
  const {hostname} = new URL(readServerUrl(server))
  return hostname.replace(/[^A-Za-z0-9_.-]/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'server'
}
