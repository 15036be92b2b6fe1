import type {FastifyInstance, FastifyReply, FastifyRequest} from 'fastify'
import {type DomainError, problem} from '../domain/errors.ts'
import {pathOf} from './auth.ts'
import {asProblem, type Failure, sendFailure} from './errors.ts'

export type Render = (error: DomainError, requestId: string, request: FastifyRequest) => Failure

/** Everything that is thrown below this scope is answered in its words; the causes of bugs stay in the log. */
export function answerFailures(scope: FastifyInstance, render: Render): void {
  scope.setErrorHandler((error, request, reply) => answerFailure(error, request, reply, render))
}

export function answerFailure(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  render: Render,
): FastifyReply {
  // The caller went away while his body came.
  const isCut = error !== null && error === request.raw.errored
  const failure = isCut
    ? problem('input_unreadable', {problem: 'it did not arrive whole'}, {cause: error})
    : asProblem(error, request.routeOptions.bodyLimit, request.headers['content-type'])
  if (failure.kind === 'internal') {
    request.log.error({requestId: request.id, path: pathOf(request), err: failure.cause ?? failure}, 'request failed')
  }
  return sendFailure(reply, failure, render(failure, request.id, request))
}

/** A family of paths that speaks in its own words. */
export interface Family {
  /** Whether the path, in lower case and without a trailing slash, is this family's. */
  owns(path: string): boolean
  failure: Render
}

/** Answers 404, or 405 where the path is known with another method, in the words of its family. Call it before any route is made. */
export function answerUnknownRoutes(app: FastifyInstance, familyOf: (path: string) => Family): void {
  const known: {method: string; pattern: RegExp}[] = []
  app.addHook('onRoute', ({method, url}) => {
    const pattern = new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}/?$`)
    for (const one of [method].flat()) known.push({method: one, pattern})
  })
  const answer = (request: FastifyRequest, reply: FastifyReply) => {
    const path = pathOf(request)
    const allowed = known.filter(({pattern}) => pattern.test(path)).map(({method}) => method)
    const words = {method: request.method, path: path.slice(0, 256)}
    const {failure} = familyOf(path)
    if (allowed.length === 0) return answerFailure(problem('route_unknown', words), request, reply, failure)
    reply.header('allow', [...new Set(allowed)].join(', '))
    return answerFailure(problem('method_unknown', words), request, reply, failure)
  }
  app.setNotFoundHandler(answer)
  // Before its body is read: what is wrong with that matters to nobody.
  app.addHook('onRequest', async (request, reply) => (request.is404 ? answer(request, reply) : undefined))
}
