import {Args, Flags} from '@oclif/core'
import {openForPerson} from '../../cli/browser.ts'
import {usageError} from '../../cli/failure.ts'
import {listenForward, readPortPair} from '../../cli/port-forward.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import type {Client} from '../../client/client.ts'

export default class InstanceOpen extends StreamCommand {
  static override summary = 'Open in the browser what an instance serves, or the dashboard.'
  static override description =
    'With a port: carries a local port there until Ctrl-C and opens its page. Without: the dashboard of the server, with a link that signs you in: once, within a minute. $BROWSER names the program. Without a terminal the URL is printed and nothing opened.'
  static override examples = [
    '<%= config.bin %> instance open notebook 8888 --path /lab',
    '<%= config.bin %> instance open train 16006:6006',
    '<%= config.bin %> instance open train',
  ]
  static override args = {
    instance: Args.string({description: 'id or name', required: true}),
    port: Args.string({description: 'REMOTE or LOCAL:REMOTE; LOCAL 0 or empty is a free one', ignoreStdin: true}),
  }
  static override flags = {
    path: Flags.string({description: 'of the page, as /lab', default: '/'}),
    https: Flags.boolean({description: 'the instance speaks TLS at that port'}),
  }

  async run(): Promise<{url: string} | undefined> {
    const {args, flags} = await this.parse(InstanceOpen)
    if (!flags.path.startsWith('/')) throw usageError(`--path: ${flags.path} does not begin with /.`)
    const pair = args.port === undefined ? undefined : readPortPair(args.port)
    const client = this.client(flags)
    const {id, name, status} = await client.call('instances.get', {id: args.instance})
    if (!pair) {
      const url = `${(await this.serverUrl(flags)).replace(/\/$/, '')}/dashboard/`
      this.say(url)
      await this.#open(url, client)
      return {url}
    }
    if (status !== 'running') throw usageError(`Instance ${name} is ${status}, not running.`)
    return this.untilInterrupted(async signal => {
      const notice = (text: string) => this.notice(text)
      const {port, closed} = await listenForward({client, instance: id, address: '127.0.0.1', pair, notice, signal})
      const url = `${flags.https ? 'https' : 'http'}://127.0.0.1:${port}${flags.path}`
      await this.emit({url}, () => url)
      await this.#open(url)
      this.hint('Ctrl-C ends it.')
      await closed
      return undefined
    })
  }

  #open(url: string, client?: Client): Promise<void> {
    return openForPerson(url, {mode: this.mode, notice: text => this.notice(text), client})
  }
}
