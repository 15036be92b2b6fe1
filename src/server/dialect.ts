import type {FastifyInstance, FastifyReply, FastifyRequest} from 'fastify'
import type {Static, TObject, TSchema} from 'typebox'
import type {Access} from '../contract/operation.ts'
import type {Scope} from '../contract/schemas/auth.ts'
import type {Caller} from '../domain/caller.ts'
import {problem} from '../domain/errors.ts'
import type {Inference} from '../domain/inference.ts'
import type {Services} from '../domain/services/services.ts'
import {accessCheck, type FindCredential, type Guest, type NodeIdentity} from './auth.ts'
import type {StreamSources} from './event-routes.ts'
import {answerFailures, type Family} from './failures.ts'
import {partReader} from './input.ts'
import type {Terminals} from './terminal.ts'
import type {Upgrades} from './upgrade.ts'

/**
 * One of the foreign APIs that we speak word for word (architecture, idea 1): paths, shapes, its envelope. It maps and
 * decides nothing. Its routes are data; the server, the OpenAPI document and the tests read them.
 */
export interface Dialect extends Family {
  name: string
  /** Where the family's callers carry their credential. */
  credential: FindCredential
  /** Paths match whatever their case: they are lowered before they are routed, and stand in lower case in `routes`. */
  caseless?: boolean
  routes: readonly DialectRoute[]
  /** What the scope of the routes needs beside them, as a parser of another media type. */
  prepare?: (scope: FastifyInstance) => void
}

type AskerOf<A extends Access> = A extends 'public' ? Guest : A extends 'node' ? NodeIdentity : Caller

/** What the streams and terminals of one server share. */
export interface DialectSources extends StreamSources {
  terminals: Terminals
  upgrades: Upgrades
  inference: Inference
}

interface DialectCall<A extends Access, P, Q, B> {
  params: P
  query: Q
  body: B
  asker: AskerOf<A>
  services: Services
  sources: DialectSources
  request: FastifyRequest
  reply: FastifyReply
}

export interface DialectRoute<
  A extends Access = Access,
  P extends TSchema = TSchema,
  Q extends TSchema = TSchema,
  B extends TSchema = TSchema,
> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With `:name` parameters; a trailing slash is taken too. */
  path: string
  /** Further paths of the same route. */
  also?: readonly string[]
  /** All of them as the family's document spells them, where that is not how they are routed. */
  spelled?: readonly string[]
  /** Least role; `public` where the family asks nobody, or its own kind of credential is looked at in `handle`. */
  access: A
  summary: string
  params?: P
  query?: Q
  body?: B
  /** For the OpenAPI document. */
  output?: TSchema
  /** Success status, 200 unless given. */
  status?: number
  /** Of this route alone. */
  credential?: FindCredential
  /** Of a public route that wants a credential of its own kind: the header it must stand in, else nothing is read. */
  wants?: string
  /** A GET that changes something: a token that may only read is refused. */
  changes?: true
  /** What a token needs here, where it is neither of `read` and `write`. */
  scope?: Scope
  /** An event stream or a WebSocket: a one-time ticket opens it too. */
  transport?: 'events' | 'socket'
  bodyLimitBytes?: number
  /** The answer as JSON; undefined after `reply.hijack()` or `reply.send()`. A body that was optional and absent is {}. */
  handle(call: DialectCall<A, Static<P>, Static<Q>, Static<B>>): Promise<unknown>
}

type Nothing = TObject<Record<never, never>>

/** Writes a route down; its handler's types follow from its schemas. */
export function route<
  const A extends Access,
  P extends TSchema = Nothing,
  Q extends TSchema = Nothing,
  B extends TSchema = Nothing,
>(described: DialectRoute<A, P, Q, B>): DialectRoute {
  return described as unknown as DialectRoute
}

/** Puts a dialect on the server: its access check before anything is read, its words for all that goes wrong. */
export async function mountDialect(app: FastifyInstance, sources: DialectSources, dialect: Dialect): Promise<void> {
  await app.register(async scope => {
    answerFailures(scope, dialect.failure)
    dialect.prepare?.(scope)
    for (const one of dialect.routes) addRoute(scope, sources, dialect, one)
  })
}

function addRoute(scope: FastifyInstance, sources: DialectSources, dialect: Dialect, described: DialectRoute): void {
  const {
    method,
    path,
    also = [],
    access,
    changes,
    scope: needed,
    transport,
    bodyLimitBytes: bodyLimit,
    wants,
    status = 200,
  } = described
  const readParams = described.params && partReader(described.params, 'path')
  const readQuery = described.query && partReader(described.query, 'query')
  const readBody = described.body && partReader(described.body, 'body')
  const check = accessCheck(sources.services, described.credential ?? dialect.credential)
  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    const params = (await readParams?.(request.params)) ?? {}
    const query = (await readQuery?.(request.query)) ?? {}
    const body = (await readBody?.(request.body)) ?? {}
    const asker = request.asker as never
    const said = await described.handle({
      params,
      query,
      body,
      asker,
      ...{services: sources.services, sources, request, reply},
    })
    if (reply.sent) return reply
    if (said === undefined) return reply.code(reply.statusCode === 200 ? status : reply.statusCode).send()
    return reply
      .code(reply.statusCode === 200 ? status : reply.statusCode)
      .type('application/json; charset=utf-8')
      .serializer((text: unknown) => text as string)
      .send(JSON.stringify(said))
  }
  for (const url of [path, ...also]) {
    scope.route({
      method,
      url,
      config: {access, changes, scope: needed, transport},
      bodyLimit,
      onRequest: wants === undefined ? check : [check, async ({headers}) => requireHeader(headers[wants])],
      handler: answer,
    })
  }
}

function requireHeader(value: string | string[] | undefined): void {
  if (typeof value !== 'string' || value === '') throw problem('login_required', {})
}
