import {Args} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {openForPerson} from '../cli/browser.ts'

const pages = {dashboard: '/dashboard/', swagger: '/swagger/'} as const

export default class Open extends BaseCommand {
  static override summary = 'Open a page of the server in the browser: the dashboard, or the description of the API.'
  static override description =
    '$BROWSER names the program. Without a terminal the URL is printed and nothing opened. No token stands in the URL: the page asks for a login of its own.'
  static override examples = ['<%= config.bin %> open', '<%= config.bin %> open swagger -o json']
  static override args = {
    page: Args.string({
      description: 'which page',
      options: Object.keys(pages),
      default: 'dashboard',
      ignoreStdin: true,
    }),
  }

  async run(): Promise<{url: string}> {
    const {args, flags} = await this.parse(Open)
    const server = await this.serverUrl(flags)
    const url = `${server.replace(/\/$/, '')}${pages[args.page as keyof typeof pages]}`
    this.say(url)
    await openForPerson(url, this.mode, text => this.notice(text))
    return {url}
  }
}
