import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {isForPerson, openInBrowser} from '../cli/browser.ts'
import {usageError} from '../cli/failure.ts'
import type {GlobalFlags} from '../cli/global-flags.ts'
import {ApiError} from '../client/api-error.ts'

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
    const hasLogin = signsIn.has(args.page)
    if (flags.link) {
      if (!hasLogin) throw usageError(`The page ${args.page} needs no login.`, 'Leave out --link.')
      const link = await this.#link(url, flags)
      this.say(link)
      return {url: link}
    }
    this.say(url)
    if (!isForPerson(this.mode)) return {url}
    const link = hasLogin ? await this.#link(url, flags).catch(whenSignedOut) : undefined
    if (await openInBrowser(link ?? url, process.env)) return {url}
    this.notice(`No browser could be started: open ${link ? `${link} within a minute` : 'the URL by hand'}.`)
    return {url}
  }

  async #link(url: string, flags: GlobalFlags): Promise<string> {
    const {secret} = await this.client(flags).call('auth.browserLink', {})
    return `${url}#link=${secret}`
  }
}

/** Who is not logged in here, or with a token that may only read, signs in there. */
function whenSignedOut(error: unknown): undefined {
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return undefined
  throw error
}
