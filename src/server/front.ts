import {randomUUID} from 'node:crypto'
import type {IncomingMessage, Server} from 'node:http'
import type {FastifyReply, FastifyRequest} from 'fastify'
import type {Logger} from 'pino'
import {logRequest} from './access-log.ts'
import {HostList} from './hosts.ts'
import type {OpenStreams} from './open-streams.ts'
import type {ServerSettings} from './settings.ts'
import type {Upgrades} from './upgrade.ts'

declare module 'fastify' {
  interface FastifyInstance {
    front: Front
  }
}

/** Nobody reads it any more; it is for the log and the figures. */
const callerGone = 499

/** What stands before all routes: the check of the host, the request's id, the figures, and the way down. */
export class Front {
  readonly settings: ServerSettings
  readonly hosts: HostList
  readonly upgrades: Upgrades
  readonly streams: OpenStreams
  /** Requests that are over, by status. */
  readonly requests = new Map<number, number>()
  readonly servers = new Set<Server>()
  readonly #logger: Logger
  #inFlight = 0
  #idle: (() => void) | undefined
  stopping = false

  constructor(options: {settings: ServerSettings; upgrades: Upgrades; streams: OpenStreams; logger: Logger}) {
    this.settings = options.settings
    this.hosts = new HostList(options.settings.hosts)
    this.upgrades = options.upgrades
    this.streams = options.streams
    this.#logger = options.logger
  }

  /** First of all for each request. Throws host_refused, origin_refused. */
  greet(request: FastifyRequest, reply: FastifyReply): void {
    this.#inFlight++
    reply.raw.once('close', () => {
      const {raw} = reply
      if (!raw.headersSent && raw.statusCode === 200) raw.statusCode = callerGone
      this.requests.set(raw.statusCode, (this.requests.get(raw.statusCode) ?? 0) + 1)
      logRequest(this.#logger, request, reply)
      if (--this.#inFlight === 0) this.#idle?.()
    })
    reply.headers({
      'x-request-id': request.id,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    })
    this.hosts.check(request)
  }

  /** Resolves when no request is in flight. */
  async idle(): Promise<void> {
    if (this.#inFlight === 0) return
    await new Promise<void>(resolve => {
      this.#idle = resolve
    })
  }
}

/** The caller's own id of the request when it is harmless in a log, else a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID()
}
