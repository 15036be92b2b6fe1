import {join} from 'node:path'
import {Command, type Interfaces} from '@oclif/core'
import {ApiError} from '../client/api-error.ts'
import {Client, type Planned} from '../client/client.ts'
import type {Target} from '../client/transport.ts'
import {type Choice, chooseServer} from './context.ts'
import {Credentials, type FoundToken} from './credentials.ts'
import {describeError, type ErrorReport, errorAsJson, errorAsText, errorBody} from './error-report.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {spreadVariables, withVariables} from './given-flags.ts'
import {
  checkMode,
  type GlobalFlags,
  globalFlags,
  isMachine,
  modeOf,
  type OutputMode,
  type OutputWords,
  readOutputMode,
} from './global-flags.ts'
import {NothingSent} from './nothing-sent.ts'
import type {Column} from './output/column.ts'
import {encodeList, encodeObject, type Line} from './output/listing.ts'
import {encodeValue, type MachineFormat, pickFields, write} from './output/machine.ts'
import {safe} from './output/safe.ts'
import {configDirectory} from './places.ts'
import {applyPreferences} from './preferences.ts'
import type {Progress} from './progress.ts'
import {ask, confirm} from './prompt.ts'
import {takeKindsOff} from './references.ts'
import {loadSettings, type Settings} from './settings.ts'
import {canAsk, isOn, isTerminal} from './terminal.ts'
import type {Watch} from './watch.ts'
import {callsNoServer} from './words.ts'

/** What a command answers that takes several names. */
export type Several<T> = T | (T | Refused)[]

interface Refused {
  name: string
  error: ReturnType<typeof errorBody>
}

/** Behind these the next name would fare no better: no server, not logged in, a person's no, Ctrl-C. */
const endsAll: ReadonlySet<number> = new Set([
  exitCode.unauthenticated,
  exitCode.unreachable,
  exitCode.cancelled,
  exitCode.interrupted,
])

/** Refusals that the name of the thing overcomes. */
const confirmations: ReadonlySet<string> = new Set(['confirmation_missing', 'site_restore_unconfirmed', 'node_busy'])

/** How long the server may think before a person is told so. */
const spinAfterMs = 300

/**
 * What every command is. `run()` parses, makes its call, prints for people and returns the same for machines: the return
 * value is the `-o json` output. Failures are printed and turned into exit codes here.
 */
export abstract class BaseCommand extends Command {
  static override baseFlags = globalFlags

  protected mode: OutputMode = modeOf({})
  protected settings: Settings = {contexts: {}, defaults: {}, origins: {}, project: {}}
  /** It answers -w in its own way. */
  protected readonly followsItself: boolean = false
  /** With -w: what is printed goes through it. */
  #watch: Watch | undefined
  /** With --curl or --explain: nothing is called. */
  #isPreview = false
  #isPlan = false
  #isShown = false
  #client: Client | undefined

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

  /** As oclif parses, with a variable behind every flag. */
  protected override async parse<
    F extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    B extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    A extends Interfaces.OutputArgs<Interfaces.ArgInput>,
  >(options?: Interfaces.Input<F, B, A>, argv = this.argv): Promise<Interfaces.ParserOutput<F, B, A>> {
    const known = {...options?.baseFlags, ...options?.flags} as Interfaces.FlagInput
    const flags = withVariables(known)
    const parsed = await super.parse({...options, baseFlags: {}, flags} as never, argv)
    const found = spreadVariables(parsed.flags as object, known) as OutputWords & {curl?: boolean; explain?: boolean}
    this.mode = modeOf(found)
    checkMode(this.mode)
    this.#isPlan = Boolean(found.explain)
    this.#isPreview = this.#isPlan || Boolean(found.curl)
    if (this.#isPreview && callsNoServer(this.id ?? '')) {
      throw usageError(`gpuctl ${this.id?.replaceAll(':', ' ')} calls no server.`, 'Leave out --curl and --explain.')
    }
    if (this.mode.watch && !this.#isPreview && !this.#watch && !this.followsItself) {
      const {Watch} = await import('./watch.ts')
      this.#watch = new Watch({mode: this.mode, notice: line => this.notice(line)})
    }
    takeKindsOff(parsed as never, {strict: this.ctor.strict})
    return parsed as never
  }

  override async _run<T>(): Promise<T> {
    const leave = () => {
      if (process.listenerCount('SIGINT') === 1) process.exit(exitCode.interrupted)
    }
    process.on('SIGINT', leave)
    try {
      await this.init()
      const result = await this.run()
      if (this.#watch) await this.#watch.follow(result, () => this.run())
      else if (result !== undefined && isMachine(this.mode.format)) await this.#write(result, this.mode.format)
      return result as T
    } catch (error) {
      return (await this.catch(error as Error)) as T
    } finally {
      process.off('SIGINT', leave)
    }
  }

  async #write(result: unknown, format: MachineFormat): Promise<void> {
    const {fields, jq} = this.mode
    const picked = fields ? pickFields(result, fields) : result
    const text = jq === undefined ? encodeValue(picked, format) : (await import('./output/jq.ts')).runJq(picked, jq)
    await write(process.stdout, await text)
  }

  /** Prints the failure where it belongs and sets the exit code; nothing is thrown further. */
  override async catch(error: Error): Promise<unknown> {
    if (error instanceof NothingSent) return undefined
    const report = describeError(error)
    process.exitCode = report.exitCode
    if (isExit(error)) return undefined
    if (!this.mode.quiet) {
      const {guessFlag, guessName} = await import('./guesses.ts')
      const guess = guessFlag(error, this.#flags) || (await guessName(error, this.#client))
      report.hint = `${guess} ${report.hint}`.trim()
    }
    await this.#print(report)
    if (isOn(process.env.GPUCTL_DEBUG)) process.stderr.write(`${error.stack}\n`)
    return undefined
  }

  get #flags(): Record<string, {char?: string}> {
    return {...this.ctor.baseFlags, ...this.ctor.flags}
  }

  async #print(report: ErrorReport): Promise<void> {
    if (isMachine(this.mode.format)) await write(process.stdout, `${errorAsJson(report)}\n`)
    else await write(process.stderr, `${errorAsText(report)}\n`)
  }

  /** The typed client of the chosen server, as the logged-in user. */
  protected client(flags: GlobalFlags): Client {
    const choice = this.choose(flags)
    this.#client = this.clientFor(choice, async () => (await this.findToken(choice))?.token, flags)
    return this.#client
  }

  /** A client of that server with that token, and all that the global flags say of calls. */
  protected clientFor(choice: Choice, findToken: () => Promise<string | undefined>, flags: GlobalFlags): Client {
    const isDebug = flags.debug || isOn(process.env.GPUCTL_DEBUG)
    const insecure = Boolean(flags['insecure-skip-tls-verify'])
    return new Client({
      userAgent: this.config.userAgent,
      timeoutMs: flags['request-timeout'] || undefined,
      trace: isDebug ? line => process.stderr.write(`debug: ${safe(line)}\n`) : undefined,
      began: () => this.#beginCall(choice.server),
      instead: this.#isPreview ? planned => this.#preview(planned, choice, insecure) : undefined,
      target: async () => {
        if (insecure) this.notice(`Warning: the certificate of ${choice.server} is not checked.`)
        return this.targetOf(choice, await findToken(), insecure)
      },
    })
  }

  protected async targetOf({server, caCert, pin}: Choice, token?: string, insecure?: boolean): Promise<Target> {
    return {server, token, ca: await this.readCa(caCert), pin, insecure}
  }

  /** Says after a while that the server is waited for; on a terminal only. */
  #beginCall(server: string): () => void {
    if (this.#watch || this.mode.quiet || !isTerminal(process.stderr)) return () => {}
    let progress: Progress | undefined
    const timer = setTimeout(async () => {
      const {Progress} = await import('./progress.ts')
      progress = new Progress({quiet: false, afterMs: 0})
      progress.step(`Waiting for ${server}`)
    }, spinAfterMs)
    return () => {
      clearTimeout(timer)
      progress?.end()
    }
  }

  /** At the second call nothing is shown: the first ended the command. */
  async #preview(planned: Planned, choice: Choice, insecure: boolean): Promise<never> {
    const {showCurl, showPlan} = await import('./preview.ts')
    const found = await this.findToken(choice)
    if (this.#isShown) throw new NothingSent()
    this.#isShown = true
    return (this.#isPlan ? showPlan : showCurl)(planned, {choice, token: found?.from, insecure, mode: this.mode})
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
    if (isMachine(this.mode.format)) return
    const text = safe(message, {keepNewlines: true})
    if (this.#watch) void this.#watch.say(text)
    else process.stdout.write(`${text}\n`)
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

  /** Prints of a list what is wanted, as the format wants it, and returns that. */
  protected async list<T extends object>(found: T[], columns: Column<T>[], empty: string): Promise<T[]> {
    const rows = isShaped(this.mode) ? (await import('./output/shape.ts')).shapeRows(found, columns, this.mode) : found
    if (isMachine(this.mode.format)) return rows
    const none = rows.length < found.length ? `None of ${found.length} is so.` : empty
    if (this.#watch) await this.#watch.list(rows, columns, none)
    else {
      const text = await encodeList(rows, columns, this.mode)
      if (text === undefined) this.logToStderr(none)
      else if (!(await this.#page(text))) await write(process.stdout, text)
    }
    return rows
  }

  async #page(text: string): Promise<boolean> {
    if (!this.mode.page || !isTerminal(process.stdout) || this.mode.quiet) return false
    return (await import('./output/pager.ts')).page(text)
  }

  /** Prints one thing as label and value, line by line, and returns it. */
  protected async show<T extends object>(object: T, lines: Line[]): Promise<T> {
    if (isMachine(this.mode.format)) return object
    if (this.#watch) await this.#watch.show(object, lines)
    else await write(process.stdout, await encodeObject(object, lines, this.mode))
    return object
  }

  /**
   * Does the same to each of several things, one after the other. The answer of one alone is as it is; of several it is a
   * list, in which a refusal stands in the place of its answer. The first refusal gives the exit code.
   */
  protected async each<T>(names: readonly unknown[], act: (name: string) => Promise<T>): Promise<Several<T>> {
    if (names.length === 1) return act(String(names[0]))
    const found: (T | Refused)[] = []
    let code: number | undefined
    for (const name of names.map(String)) {
      try {
        found.push(await act(name))
      } catch (error) {
        if (error instanceof NothingSent) {
          this.#isShown = false
          continue
        }
        const report = describeError(error)
        if (endsAll.has(report.exitCode)) throw error
        code ??= report.exitCode
        if (isMachine(this.mode.format)) found.push({name, error: errorBody(report)})
        else await this.#print(report)
      }
    }
    if (code !== undefined) process.exitCode = code
    return found
  }

  /**
   * Makes a call that the server wants confirmed by the name of what goes, with what --confirm says. Where that is missing
   * a person is asked for the name; --yes does not suffice.
   */
  protected async confirmed<T>(given: string | undefined, act: (confirm?: string) => Promise<T>): Promise<T> {
    try {
      return await act(given)
    } catch (error) {
      const {name} = (error as ApiError).details ?? {}
      const isWanted = error instanceof ApiError && confirmations.has(error.code) && given === undefined
      if (!isWanted || typeof name !== 'string' || !this.mode.mayAsk || !canAsk()) throw error
      this.logToStderr(error.message)
      const question = {kind: 'input', message: `Type ${name} to go on`, instead: `--confirm ${name}`} as const
      if ((await ask({...question, mayAsk: true})) !== name) {
        throw new Failure('cancelled', 'That is not its name: nothing was done.', {exitCode: exitCode.cancelled})
      }
      return act(name)
    }
  }

  /** Goes on only with consent: --yes, or a person's y. */
  protected async consent(message: string, flags: GlobalFlags): Promise<void> {
    if (this.#isPreview) return
    await confirm(message, {yes: Boolean(flags.yes) || isOn(process.env.GPUCTL_YES), mayAsk: this.mode.mayAsk})
  }
}

function isShaped({where, selector, sort, limit}: OutputMode): boolean {
  return where.length + selector.length + sort.length > 0 || limit !== undefined
}

/** `this.exit(…)` and the parser's --help are thrown as errors too. */
function isExit(error: Error): boolean {
  return (error as {code?: string}).code === 'EEXIT'
}
