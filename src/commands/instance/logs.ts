import {Args, Flags} from '@oclif/core'
import {exitCode} from '../../cli/exit-codes.ts'
import {usageError} from '../../cli/failure.ts'
import {LogWriter} from '../../cli/log-writer.ts'
import {StreamCommand} from '../../cli/stream-command.ts'
import type {Client} from '../../client/client.ts'
import type {InputOf} from '../../contract/contract.ts'
import type {LogEnd} from '../../contract/schemas/instances.ts'

export default class InstanceLogs extends StreamCommand {
  static override summary = 'Print the output of an instance; stdout and stderr stay apart.'
  static override description =
    'With -f it waits for the start, follows, and ends with the workload and its exit code. At a terminal, control sequences in the output are left out unless --raw.'
  static override examples = [
    '<%= config.bin %> instance logs train --tail 100',
    '<%= config.bin %> logs -f train',
    '<%= config.bin %> instance logs train --since 10m -t > train.log',
  ]
  static override args = {instance: Args.string({description: 'id or name', required: true})}
  static override flags = {
    follow: Flags.boolean({char: 'f', description: 'go on as it comes'}),
    tail: Flags.string({
      char: 'n',
      description: 'last lines only, or all',
      helpValue: '<lines>',
      parse: async text => text.trim(),
    }),
    since: Flags.string({description: 'from this time on, as 10m or RFC 3339', helpValue: '<time>'}),
    until: Flags.string({description: 'up to this time', helpValue: '<time>'}),
    timestamps: Flags.boolean({char: 't', description: 'the time before each line'}),
    raw: Flags.boolean({description: 'every byte as it is, at a terminal too'}),
  }

  async run(): Promise<undefined> {
    const {args, flags} = await this.parse(InstanceLogs)
    const query: InputOf<'instances.logs'> = {
      id: args.instance,
      tail: readTail(flags.tail),
      since: flags.since,
      until: flags.until,
      timestamps: flags.timestamps || undefined,
    }
    const client = this.client(flags)
    const writer = new LogWriter({format: this.mode.format, raw: flags.raw})
    await this.untilInterrupted(signal =>
      flags.follow ? follow(client, query, writer, signal) : print(client, query, writer, signal),
    )
    return undefined
  }
}

async function print(client: Client, query: InputOf<'instances.logs'>, writer: LogWriter, signal: AbortSignal) {
  for await (const frame of client.bytes('instances.logs', query, {signal})) await writer.frame(frame)
}

async function follow(client: Client, query: InputOf<'instances.logs'>, writer: LogWriter, signal: AbortSignal) {
  for await (const {event, data} of client.events('instances.followLogs', query, {signal})) {
    if (event === 'log') await writer.text(data.stream, data.text)
    if (event !== 'end') continue
    const {status, exitCode: code, reason} = data as unknown as LogEnd
    process.exitCode = code ?? (status === 'failed' ? exitCode.failure : exitCode.ok)
    if (code === null && reason) await writer.remark(`The workload is ${status}: ${reason}`)
  }
}

function readTail(text: string | undefined): number | undefined {
  if (text === undefined || text === 'all') return undefined
  const lines = Number(text)
  if (!/^\d{1,7}$/.test(text)) throw usageError(`--tail: ${text} is not a number of lines.`)
  return lines
}
