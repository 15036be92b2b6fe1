import {sleep, systemClock} from '../platform/clock.ts'
import {backoffMs} from '../platform/retry.ts'
import {type Link, type OpenLinkOptions, openLink} from './agent-end.ts'
import {LinkRefused} from './link-error.ts'

/** `refused`: the server is there and does not want this agent (401, 403); it is asked again every 15 to 30 s. */
export type LinkState = 'connecting' | 'up' | 'down' | 'refused'

export interface LinkKeeperOptions extends Omit<OpenLinkOptions, 'signal' | 'token'> {
  /** Asked for at each attempt, because it may be replaced meanwhile. */
  token: string | (() => string | Promise<string>)
  onState: (state: LinkState, detail: string) => void
  random?: () => number
}

/** Full jitter between attempts. */
const RETRY = {baseMs: 200, maxMs: 7_000}
const REFUSED_WAIT_MS = 30_000
/** A link that lived shorter counts as one more failure, so that a server that falls over at once is not hammered. */
const SETTLED_AFTER_MS = 10_000

/** Keeps a link open: dials again whenever it breaks, for ever, later and later while it fails. */
export class LinkKeeper {
  readonly #options: LinkKeeperOptions
  readonly #stop = new AbortController()
  #link: Link | undefined
  #running: Promise<void> | undefined

  constructor(options: LinkKeeperOptions) {
    this.#options = options
  }

  /** The link of the moment, if it is up. */
  get link(): Link | undefined {
    return this.#link
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Closes the link and dials no more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const {clock = systemClock, onState, random = Math.random} = this.#options
    const {signal} = this.#stop
    let failures = 0
    while (!signal.aborted) {
      let waitMs: number
      try {
        onState('connecting', this.#options.url)
        const link = await this.#open()
        const upMs = clock.monotonic()
        this.#link = link
        onState('up', '')
        const reason = await link.closed
        this.#link = undefined
        if (clock.monotonic() - upMs >= SETTLED_AFTER_MS) failures = 0
        waitMs = backoffMs(failures++, {...RETRY, random})
        onState('down', reason)
      } catch (error) {
        if (signal.aborted) break
        const refused = error instanceof LinkRefused && (error.status === 401 || error.status === 403)
        waitMs = refused ? REFUSED_WAIT_MS * (0.5 + random() / 2) : backoffMs(failures++, {...RETRY, random})
        onState(refused ? 'refused' : 'down', describe(error))
      }
      await sleep(clock, waitMs, signal).catch(() => {}) // stopped meanwhile
    }
  }

  async #open(): Promise<Link> {
    const {token, onState: _, random: __, ...options} = this.#options
    return openLink({
      ...options,
      token: typeof token === 'function' ? await token() : token,
      signal: this.#stop.signal,
    })
  }
}

/** Node's ECONNREFUSED to a name with two addresses is an AggregateError without a message. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || (error as NodeJS.ErrnoException).code || error.name
}
