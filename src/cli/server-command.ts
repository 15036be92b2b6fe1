import {Client, type Planned} from '../client/client.ts'
import type {Target} from '../client/message.ts'
import {type Choice, chooseServer} from './context.ts'
import {Credentials, type FoundToken} from './credentials.ts'
import {usageError} from './failure.ts'
import {findProxy} from './find-proxy.ts'
import type {GlobalFlags} from './global-flags.ts'
import {NothingSent} from './nothing-sent.ts'
import {safe} from './output/safe.ts'
import {configDirectory} from './places.ts'
import {PrintingCommand} from './printing-command.ts'
import type {Progress} from './progress.ts'
import type {Settings} from './settings.ts'
import {isOn, isTerminal} from './terminal.ts'
import {incompatible, minorNotice, skewOf} from './version-skew.ts'

/** How long the server may think before a person is told so. */
const spinAfterMs = 300

/** They tell of versions themselves. */
const tellVersions: ReadonlySet<string> = new Set(['version', 'doctor', 'support:bundle'])

/** What becomes of calls: they are made, only tried (-n), or only shown (--curl, --explain). */
export type Calls = 'made' | 'tried' | 'curl' | 'explain'

/** Which server a command speaks to, as whom, and how. */
export abstract class ServerCommand extends PrintingCommand {
  protected settings: Settings = {contexts: {}, defaults: {}, origins: {}, project: {}}
  protected calls: Calls = 'made'
  /** The one of `client()`, for what a failure wants to look up. */
  protected lastClient: Client | undefined
  #isShown = false
  #skew: {server: string; url: string; kind: 'minor' | 'major'} | undefined

  protected get isPreview(): boolean {
    return this.calls === 'curl' || this.calls === 'explain'
  }

  /** The typed client of the chosen server, as the logged-in user. */
  protected client(flags: GlobalFlags): Client {
    const choice = this.choose(flags)
    this.lastClient = this.clientFor(choice, async () => (await this.findToken(choice))?.token, flags)
    return this.lastClient
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
      answered: answer => this.#lookAtVersion(choice.server, answer),
      rehearses: flags['dry-run'],
      instead: this.isPreview ? planned => this.#preview(planned, choice, insecure) : undefined,
      target: async () => {
        if (insecure) this.notice(`Warning: the certificate of ${choice.server} is not checked.`)
        return this.targetOf(choice, await findToken(), insecure)
      },
    })
  }

  protected async targetOf({server, caCert, pin}: Choice, token?: string, insecure?: boolean): Promise<Target> {
    const proxy = await findProxy(server)
    return {server, token, ca: await this.readCa(caCert), pin, insecure, proxy}
  }

  /** Says after a while that the server is waited for; on a terminal only. */
  #beginCall(server: string): () => void {
    if (this.watch || this.mode.quiet || !isTerminal(process.stderr)) return () => {}
    let progress: Progress | undefined
    const timer = setTimeout(async () => {
      const {Progress} = await import('./progress.ts')
      progress = new Progress({...this.mode, afterMs: 0})
      progress.step(`Waiting for ${server}`)
    }, spinAfterMs)
    return () => {
      clearTimeout(timer)
      progress?.end()
    }
  }

  /**
   * A server of another major version is refused before anything was changed; where a change was made already, its answer
   * comes first.
   */
  #lookAtVersion(
    url: string,
    {serverVersion, method, isRefusal}: {serverVersion: string | undefined; method: string; isRefusal: boolean},
  ): void {
    if (serverVersion === undefined || tellVersions.has(this.id ?? '')) return
    const versions = {own: this.config.version, server: serverVersion}
    const kind = skewOf(versions)
    if (kind === 'none') return
    if (kind === 'major' && (method === 'GET' || isRefusal)) throw incompatible(versions)
    this.#skew = {server: serverVersion, url, kind}
  }

  /** Behind the output: a word on a server of another version, a minor one once a day and to people only. */
  protected async tellSkew(): Promise<void> {
    if (!this.#skew) return
    const {server, url, kind} = this.#skew
    const versions = {own: this.config.version, server}
    if (kind === 'major') this.logToStderr(`Warning: ${incompatible(versions).message}`)
    else if (isTerminal(process.stderr) && !this.mode.quiet && !isOn(process.env.GPUCTL_NO_UPDATE_NOTIFIER)) {
      const notice = await minorNotice(versions, url)
      if (notice !== undefined) this.notice(`Notice: ${notice}`)
    }
  }

  /** At the second call nothing is shown: the first ended the command. */
  async #preview(planned: Planned, choice: Choice, insecure: boolean): Promise<never> {
    const {showCurl, showPlan} = await import('./preview.ts')
    const found = await this.findToken(choice)
    if (this.#isShown) throw new NothingSent()
    this.#isShown = true
    const show = this.calls === 'explain' ? showPlan : showCurl
    return show(planned, {choice, token: found?.from, insecure, mode: this.mode})
  }

  /** The next call is shown too (--curl for each of several names). */
  protected showNext(): void {
    this.#isShown = false
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
}
