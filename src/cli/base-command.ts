import {join} from 'node:path'
import type {Interfaces} from '@oclif/core'
import {ApiError} from '../client/api-error.ts'
import {Tried} from '../client/tried.ts'
import type {DryRun} from '../contract/dry-run.ts'
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
  type OutputWords,
  readOutputMode,
} from './global-flags.ts'
import {NothingSent} from './nothing-sent.ts'
import {write} from './output/machine.ts'
import {loadPaint} from './output/paint.ts'
import {widthOf} from './output/wrap.ts'
import {applyPreferences} from './preferences.ts'
import {ask, confirm} from './prompt.ts'
import {takeKindsOff} from './references.ts'
import {ServerCommand} from './server-command.ts'
import {loadSettings} from './settings.ts'
import {canAsk, isOn, wantsColour} from './terminal.ts'
import type {Watch} from './watch.ts'
import {callsNoServer} from './words.ts'

/** What a command answers that takes several names. */
export type Several<T> = T | (T | Refused)[]

interface Refused {
  name: string
  error: ReturnType<typeof errorBody>
}

/** Flags that say what becomes of calls. */
interface CallWords {
  curl?: boolean
  explain?: boolean
  'dry-run'?: boolean
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

/**
 * What every command is. `run()` parses, makes its call, prints for people and returns the same for machines: the return
 * value is the `-o json` output. Failures are printed and turned into exit codes here.
 */
export abstract class BaseCommand extends ServerCommand {
  static override baseFlags = globalFlags

  /** It answers -w in its own way. */
  protected readonly followsItself: boolean = false

  /** Path of the program that runs, for commands that start it again. */
  protected get program(): string {
    return join(this.config.root, 'bin', 'run.js')
  }

  override async init(): Promise<void> {
    this.mode = readOutputMode(this.argv, process.env)
    this.settings = await loadSettings()
    applyPreferences(this.settings.defaults, process.env)
    // What was typed beats a variable: ids alone, and no JSON that some shell asks for all day.
    if (this.mode.quiet && readOutputMode(this.argv, {}).format === undefined) delete process.env.GPUCTL_OUTPUT
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
    const found = spreadVariables(parsed.flags as object, known) as OutputWords & CallWords
    this.mode = modeOf(found)
    checkMode(this.mode)
    this.calls = found.explain ? 'explain' : found.curl ? 'curl' : found['dry-run'] ? 'tried' : 'made'
    if (this.isPreview && callsNoServer(this.id ?? '')) {
      throw usageError(`gpuctl ${this.id?.replaceAll(':', ' ')} calls no server.`, 'Leave out --curl and --explain.')
    }
    if (this.mode.watch && !this.isPreview && !this.watch && !this.followsItself) {
      const {Watch} = await import('./watch.ts')
      this.watch = new Watch({mode: this.mode, notice: line => this.notice(line)})
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
      const result = await this.run().catch(error => this.#ifTried(error))
      if (this.watch) await this.#follow(this.watch, result)
      else await this.writeResult(result)
      await this.tellSkew()
      return result as T
    } catch (error) {
      return (await this.catch(error as Error)) as T
    } finally {
      process.off('SIGINT', leave)
    }
  }

  async #follow(watch: Watch, first: unknown): Promise<void> {
    const {WakeEvents} = await import('./wake-events.ts')
    await watch.follow(first, () => this.run(), WakeEvents.of(this.id ?? '', this.lastClient))
  }

  /** Says what a change would do that was only tried. */
  #ifTried(error: unknown): DryRun {
    if (!(error instanceof Tried)) throw error
    const {messages, actions} = error.answer
    if (actions.length > 0) process.exitCode = exitCode.differs
    const would = messages.length > 0 ? messages : actions
    if (!this.mode.quiet) this.log(would.map(line => `Would be done: ${line}`).join('\n') || 'Nothing would change.')
    return error.answer
  }

  /** Prints the failure where it belongs and sets the exit code; nothing is thrown further. */
  override async catch(error: Error): Promise<unknown> {
    if (error instanceof NothingSent) return undefined
    const report = describeError(error)
    process.exitCode = report.exitCode
    if (isExit(error)) return undefined
    if (!this.mode.quiet) {
      const {guessFlag, guessName} = await import('./guesses.ts')
      const guess = guessFlag(error, this.#flags) || (await guessName(error, this.lastClient))
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
    else {
      const {bad} = await loadPaint(wantsColour(process.stderr, this.mode.colour))
      const text = errorAsText(report, widthOf(process.stderr))
      await write(process.stderr, `${text.replace(/^Error:/, word => bad(word))}\n`)
    }
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
        found.push(await act(name).catch(error => this.#ifTried(error) as T))
      } catch (error) {
        if (error instanceof NothingSent) {
          this.showNext()
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
   * a person is asked for the name; --yes does not suffice. A dry run needs no consent.
   */
  protected async confirmed<T>(given: string | undefined, act: (confirm?: string) => Promise<T>): Promise<T> {
    try {
      return await act(given)
    } catch (error) {
      const {name} = (error as ApiError).details ?? {}
      const isWanted = error instanceof ApiError && confirmations.has(error.code) && given === undefined
      if (!isWanted || typeof name !== 'string') throw error
      if (this.calls === 'tried') return act(name)
      await this.typed(name, error)
      return act(name)
    }
  }

  /** Goes on only when a person types that name; where nobody can be asked, with the refusal. */
  protected async typed(name: string, refusal: Error): Promise<void> {
    if (!this.mode.mayAsk || !canAsk()) throw refusal
    this.logToStderr(refusal.message)
    const question = {kind: 'input', message: `Type ${name} to go on`, instead: `--confirm ${name}`} as const
    if ((await ask({...question, mayAsk: true})) === name) return
    throw new Failure('cancelled', 'That is not its name: nothing was done.', {exitCode: exitCode.cancelled})
  }

  /** Goes on only with consent: --yes, or a person's y. */
  protected async consent(message: string, flags: GlobalFlags): Promise<void> {
    if (this.calls !== 'made') return
    await confirm(message, {yes: this.hasConsent(flags), mayAsk: this.mode.mayAsk})
  }

  protected hasConsent(flags: GlobalFlags): boolean {
    return Boolean(flags.yes) || isOn(process.env.GPUCTL_YES)
  }
}

/** `this.exit(…)` and the parser's --help are thrown as errors too. */
function isExit(error: Error): boolean {
  return (error as {code?: string}).code === 'EEXIT'
}
