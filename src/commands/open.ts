import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {loginLink, openForPerson} from '../cli/browser.ts'
import {usageError} from '../cli/failure.ts'

const pages = {dashboard: '/dashboard/', playground: '/playground/', swagger: '/swagger/'} as const
/** Pages that ask for a login. */
const signsIn: ReadonlySet<string> = new Set(['dashboard', 'playground'])

export default class Open extends BaseCommand {
  static override summary =
    'Open a page of the server in the browser: the dashboard, a conversation with a model, or the description of the API.'
  static override description =
    '$BROWSER names the program. It is opened with a link that signs you in: once, within a minute, and never with your token. Shown a second time, by whoever read it, the link ends the login that it opened. Without a terminal the URL alone is printed and nothing opened; --link prints the link, as for the browser of another machine.'
  static override examples = [
    '<%= config.bin %> open',
    '<%= config.bin %> open swagger -o json',
    '<%= config.bin %> open --link',
  ]
  static override args = {
    page: Args.string({
      description: 'which page',
      options: Object.keys(pages),
      default: 'dashboard',
      ignoreStdin: true,
    }),
  }
  static override flags = {
    link: Flags.boolean({description: 'print the link that signs you in, and open nothing'}),
  }

  async run(): Promise<{url: string}> {
    const {args, flags} = await this.parse(Open)
    const server = await this.serverUrl(flags)
    const url = `${server.replace(/\/$/, '')}${pages[args.page as keyof typeof pages]}`
    const client = signsIn.has(args.page) ? this.client(flags) : undefined
    if (flags.link) {
      if (!client) throw usageError(`The page ${args.page} needs no login.`, 'Leave out --link.')
      const link = await loginLink(url, client)
      this.say(link)
      return {url: link}
    }
    this.say(url)
    await openForPerson(url, {mode: this.mode, notice: text => this.notice(text), client})
    return {url}
  }
}
