import type {Caller} from '../../domain/caller.ts'
import {hasRole} from '../../domain/caller.ts'
import {isProblem, problem} from '../../domain/errors.ts'
import type {Services} from '../../domain/services/services.ts'
import type {OpenSession} from '../../domain/session.ts'
import type {Logger} from '../../platform/logger.ts'
import type {Login} from './authentication.ts'
import type {JumpHostSettings} from './settings.ts'

/** The instance that a visit goes to. */
export interface Goal {
  id: string
  name: string
}

/** One logged-in connection: who it is, where it may go, and its one session in the list of all. */
export class Visit {
  readonly caller: Caller
  readonly services: Services
  readonly settings: JumpHostSettings
  readonly logger: Logger
  /** What stood behind the plus of the login name. */
  readonly wanted: string | undefined
  /** Aborts when the connection is gone. */
  readonly gone: AbortSignal
  readonly #session: Promise<OpenSession>
  #goal: Promise<Goal> | undefined

  constructor(options: {
    login: Login
    services: Services
    settings: JumpHostSettings
    logger: Logger
    session: Promise<OpenSession>
    gone: AbortSignal
  }) {
    const {login, services, settings, logger, session, gone} = options
    this.caller = login.caller
    this.wanted = login.instance
    this.services = services
    this.settings = settings
    this.logger = logger
    this.gone = gone
    this.#session = session
    this.#session.catch(() => {}) // told to whoever asks for it
  }

  /** Throws role_too_low, too_many, token_invalid. */
  async session(): Promise<OpenSession> {
    const {role} = this.caller
    if (!hasRole(this.caller, 'user')) throw problem('role_too_low', {needed: 'user', role})
    return this.#session
  }

  /** Where the login name says; undefined when it says nothing. Throws not_found for what is absent or foreign. */
  goal(): Promise<Goal> | undefined {
    if (this.wanted === undefined) return undefined
    this.#goal ??= this.enter(this.wanted)
    return this.#goal
  }

  async enter(reference: string): Promise<Goal> {
    const session = await this.session()
    const {id, name} = await this.services.instances.get({id: reference}, this.caller)
    session.enter({id, name})
    return {id, name}
  }

  /** What to tell the person, in words; what is not expected goes to the log. */
  words(error: unknown): string {
    if (isProblem(error)) return `${error.message} ${error.hint}`.trim()
    this.logger.info({err: error, user: this.caller.username}, 'an SSH channel broke')
    return 'The connection to the instance broke.'
  }
}
