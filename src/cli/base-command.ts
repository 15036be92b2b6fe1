import {join} from 'node:path'
import {Command} from '@oclif/core'
import {Client} from '../client/client.ts'
import type {Target} from '../client/transport.ts'
import {type Choice, chooseServer} from './context.ts'
import {Credentials, type FoundToken} from './credentials.ts'
import {describeError, errorAsJson, errorAsText} from './error-report.ts'
import {usageError} from './failure.ts'
import {type GlobalFlags, globalFlags, isMachine, type OutputMode, readOutputMode} from './global-flags.ts'
import type {Column} from './output/column.ts'
import {encodeList, encodeObject, type Line} from './output/listing.ts'
import {encodeValue, pickFields, write} from './output/machine.ts'
import {safe} from './output/safe.ts'
import {configDirectory} from './places.ts'
import {applyPreferences} from './preferences.ts'
import {confirm} from './prompt.ts'
import {loadSettings, type Settings} from './settings.ts'
import {isOn, isTerminal} from './terminal.ts'

/**
 * What every command is. `run()` parses, makes its call, prints for people and returns the same for machines: the return
 * value is the `-o json` output. Failures are printed and turned into exit codes here.
 */
export abstract class BaseCommand extends Command {
  static override baseFlags = globalFlags

  protected mode: OutputMode = readOutputMode([], {})
  protected settings: Settings = {contexts: {}, defaults: {}, origins: {}, project: {}}

  /** Path of the program that runs, for commands that start it again. */
  protected get program(): string {
    return join(this.config.root, 'bin', 'run.js')
  }

  override async init(): Promise<void> {
    this.mode = readOutputMode(this.argv, process.env)
    this.settings = await loadSettings()
    applyPreferences(this.settings.defaults, process.env)
    this.mode = readOutputMode(this.argv, process.env)
  }

  override async _run<T>(): Promise<T> {
    try {
      await this.init()
      const result = await this.run()
      if (result !== undefined && isMachine(this.mode.format)) {
        const picked = this.mode.fields ? pickFields(result, this.mode.fields) : result
        await write(process.stdout, await encodeValue(picked, this.mode.format))
      }
      return result as T
    } catch (error) {
      return (await this.catch(error as Error)) as T
    }
  }

  /** Prints the failure where it belongs and sets the exit code; nothing is thrown further. */
  override async catch(error: Error): Promise<unknown> {
    const report = describeError(error)
    process.exitCode = report.exitCode
    if (isExit(error)) return undefined
    if (isMachine(this.mode.format)) await write(process.stdout, `${errorAsJson(report)}\n`)
    else await write(process.stderr, `${errorAsText(report)}\n`)
    if (isOn(process.env.GPUCTL_DEBUG)) process.stderr.write(`${error.stack}\n`)
    return undefined
  }

  /** The typed client of the chosen server, as the logged-in user. */
  protected client(flags: GlobalFlags): Client {
    const isDebug = flags.debug || isOn(process.env.GPUCTL_DEBUG)
    return new Client({
      userAgent: this.config.userAgent,
      trace: isDebug ? line => process.stderr.write(`debug: ${safe(line)}\n`) : undefined,
      target: async () => {
        const choice = this.choose(flags)
        const found = await this.findToken(choice)
        return this.targetOf(choice, found?.token)
      },
    })
  }

  protected async targetOf({server, caCert, pin}: Choice, token?: string): Promise<Target> {
    return {server, token, ca: await this.readCa(caCert), pin}
  }

  protected choose(flags: GlobalFlags): Choice {
    return chooseServer(this.settings, flags)
  }

  /**
   * A token of the environment goes to servers that this person named, not to one that a `.gpuctl.yml` names: that file
   * comes with a checkout, and whoever wrote it would get the token.
   */
  protected async findToken({server, context, origin}: Choice): Promise<FoundToken | undefined> {
    const found = await this.credentials().find(server, context?.name)
    const isGiven = found?.from === 'GPUCTL_TOKEN' || found?.from === 'GPUCTL_TOKEN_FILE'
    if (isGiven && origin === '.gpuctl.yml' && !context) {
      throw usageError(
        `${found.from} is not sent to ${server}: only ./.gpuctl.yml names that server.`,
        'If you trust it, set GPUCTL_SERVER or use --server.',
      )
    }
    return found
  }

  protected credentials(): Credentials {
    const notice = (line: string) => this.notice(line)
    return new Credentials({env: process.env, directory: configDirectory(), notice})
  }

  /** PEM of the authority that the chosen server must have. */
  protected async readCa(path: string | undefined): Promise<string | undefined> {
    if (path === undefined) return undefined
    const {readFile} = await import('node:fs/promises')
    return readFile(path, 'utf8').catch((error: Error) => {
      throw usageError(`The certificate ${path} cannot be read: ${error.message}`, 'Give another --ca-cert.')
    })
  }

  /** Address of the chosen server. */
  protected async serverUrl(flags: GlobalFlags): Promise<string> {
    return this.choose(flags).server
  }

  /** A sentence on stdout, unless the output is for machines; what came from elsewhere in it is made safe. */
  override log(message = ''): void {
    if (!isMachine(this.mode.format)) process.stdout.write(`${safe(message, {keepNewlines: true})}\n`)
  }

  override logToStderr(message = ''): void {
    process.stderr.write(`${safe(message, {keepNewlines: true})}\n`)
  }

  /** A remark beside the result, on stderr. */
  protected notice(message: string): void {
    if (!this.mode.quiet) this.logToStderr(message)
  }

  /** What one may do next: only for a person at a terminal. */
  protected hint(message: string): void {
    if (
      !this.mode.quiet &&
      this.mode.format === undefined &&
      isTerminal(process.stderr) &&
      isTerminal(process.stdout)
    ) {
      this.logToStderr(message)
    }
  }

  /** Says what was done; with -q its id, with -o name its name, with csv and tsv nothing but those. */
  protected say(sentence: string, object: {id?: string; name?: string; username?: string} = {}): void {
    const {format, quiet} = this.mode
    if (quiet && object.id !== undefined) this.log(object.id)
    else if (format === 'name') this.log(object.name ?? object.username ?? '')
    else this.log(sentence)
  }

  /** Prints a list as the format wants it and returns it. */
  protected async list<T extends object>(rows: T[], columns: Column<T>[], empty: string): Promise<T[]> {
    if (isMachine(this.mode.format)) return rows
    const text = await encodeList(rows, columns, this.mode)
    if (text === undefined) this.logToStderr(empty)
    else await write(process.stdout, text)
    return rows
  }

  /** Prints one thing as label and value, line by line, and returns it. */
  protected async show<T extends object>(object: T, lines: Line[]): Promise<T> {
    if (!isMachine(this.mode.format)) await write(process.stdout, await encodeObject(object, lines, this.mode))
    return object
  }

  /** Goes on only with consent: --yes, or a person's y. */
  protected consent(message: string, flags: GlobalFlags): Promise<void> {
    return confirm(message, {yes: Boolean(flags.yes) || isOn(process.env.GPUCTL_YES), mayAsk: this.mode.mayAsk})
  }
}

/** `this.exit(…)` and the parser's --help are thrown as errors too. */
function isExit(error: Error): boolean {
  return (error as {code?: string}).code === 'EEXIT'
}
