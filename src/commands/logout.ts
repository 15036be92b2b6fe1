import {Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {ApiError, UnreachableError} from '../client/api-error.ts'

interface LogoutOutput {
  server: string
  context: string | null
  /** The server knows that the token is dead. */
  revoked: boolean
}

export default class Logout extends BaseCommand {
  static override summary = 'Revoke the login on the server and forget its token here.'
  static override description =
    'The address of the server stays known. An API token is only forgotten: `token revoke` ends it.'
  static override examples = ['<%= config.bin %> logout', '<%= config.bin %> logout --all']
  static override flags = {all: Flags.boolean({description: 'every login of this user'})}

  async run(): Promise<LogoutOutput> {
    const {flags} = await this.parse(Logout)
    const choice = this.choose(flags)
    const {server, context} = choice
    if ((await this.findToken(choice)) === undefined) {
      this.say(`Nobody is logged in to ${server} here.`)
      return {server, context: context?.name ?? null, revoked: false}
    }
    const client = this.client(flags)
    let revoked = false
    try {
      const {credential} = await client.call('auth.whoami', {}, {prepares: true})
      if (credential === 'login' || flags.all) {
        await client.call('auth.logout', {all: flags.all || undefined})
        revoked = true
      }
    } catch (error) {
      if (error instanceof UnreachableError) this.notice(`${error.message} The token is forgotten here only.`)
      else if (!(error instanceof ApiError && error.status === 401)) throw error
    }
    if (context) await this.credentials().forget(server, context.name)
    this.say(`Logged out of ${server}.`)
    return {server, context: context?.name ?? null, revoked}
  }
}
