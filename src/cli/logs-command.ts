import {Flags, type Interfaces} from '@oclif/core'
import type {Client} from '../client/client.ts'
import type {InputOf} from '../contract/contract.ts'
import type {LogEnd} from '../contract/schemas/instances.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import type {OutputFormat} from './global-flags.ts'
import {prefixes} from './log-prefix.ts'
import {LogWriter} from './log-writer.ts'
import {StreamCommand, untilInterrupted} from './stream-command.ts'
import {wantsColour} from './terminal.ts'

type Query = InputOf<'instances.logs'>

/** Docker's letters. */
export const logFlags = {
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
  grep: Flags.string({description: 'only lines that match', helpValue: '<pattern>'}),
  previous: Flags.boolean({description: 'what came before the last restart', exclusive: ['follow', 'until']}),
  raw: Flags.boolean({description: 'every byte as it is, at a terminal too'}),
}

type LogFlags = Interfaces.InferredFlags<typeof logFlags>

/** A command that prints what instances have put out. */
export abstract class LogsCommand extends StreamCommand {
  /** With --follow the exit code is that of the workload, of several the first that failed. */
  protected async printLogs(
    client: Client,
    sources: readonly {id: string; name: string}[],
    {since, until, raw, grep, ...flags}: LogFlags,
  ): Promise<undefined> {
    const common = {tail: readTail(flags.tail), since, until, timestamps: flags.timestamps || undefined}
    const style = {format: this.mode.format, raw, grep: grep === undefined ? undefined : readPattern(grep)}
    const names = sources.map(({name}) => name)
    const beginnings = names.length > 1 ? prefixes(names, wantsColour(process.stdout, this.mode.colour)) : []
    await this.untilInterrupted(async interrupted => {
      const failed = new AbortController() // of one ends all
      const signal = AbortSignal.any([interrupted, failed.signal])
      const codes = sources.map(async ({id, name}, at) => {
        const writer = new LogWriter({...style, name: names.length > 1 ? name : undefined, prefix: beginnings[at]})
        if (flags.previous) await mustHaveRestarted(client, id)
        const query: Query = {...common, id, previous: flags.previous || undefined}
        const code = await (flags.follow ? follow : print)(client, query, writer, signal)
        await writer.end()
        return code
      })
      const ended = await Promise.all(codes).finally(() => failed.abort())
      process.exitCode ??= ended.find(code => code !== exitCode.ok) ?? exitCode.ok
    })
    return undefined
  }
}

async function print(client: Client, query: Query, writer: LogWriter, signal: AbortSignal): Promise<number> {
  for await (const frame of client.bytes('instances.logs', query, {signal})) await writer.frame(frame)
  return exitCode.ok
}

/** Prints all that one instance puts out, to its end. Answers the exit code of the workload; undefined at Ctrl-C. */
export function followOutput(
  client: Client,
  id: string,
  format: OutputFormat | undefined,
): Promise<number | undefined> {
  return untilInterrupted(async signal => {
    const writer = new LogWriter({format, raw: false, grep: undefined, name: undefined, prefix: undefined})
    const code = await follow(client, {id}, writer, signal)
    await writer.end()
    return signal.aborted ? undefined : code
  })
}

/** Answers the exit code of the workload. */
async function follow(client: Client, query: Query, writer: LogWriter, signal: AbortSignal): Promise<number> {
  let code: number = exitCode.ok
  for await (const {event, data} of client.events('instances.followLogs', query, {signal})) {
    if (event === 'log') await writer.text(data.stream, data.text)
    if (event !== 'end') continue
    const {status, exitCode: ended, reason} = data as unknown as LogEnd
    code = ended ?? (status === 'failed' ? exitCode.failure : exitCode.ok)
    if (ended === null && reason) await writer.remark(`The workload is ${status}: ${reason}`)
  }
  return code
}

async function mustHaveRestarted(client: Client, id: string): Promise<void> {
  const {name, restarts} = await client.call('instances.get', {id})
  if (restarts > 0) return
  throw new Failure('not_restarted', `${name} was not restarted: there is no output of an earlier run.`, {
    exitCode: exitCode.notFound,
  })
}

function readPattern(text: string): RegExp {
  try {
    return new RegExp(text, 'u')
  } catch (error) {
    throw usageError(`--grep: ${text} is no pattern: ${(error as Error).message}`)
  }
}

function readTail(text: string | undefined): number | undefined {
  if (text === undefined || text === 'all') return undefined
  const lines = Number(text)
  if (!/^\d{1,7}$/.test(text)) throw usageError(`--tail: ${text} is not a number of lines.`)
  return lines
}
