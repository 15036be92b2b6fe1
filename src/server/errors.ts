import type {FastifyReply} from 'fastify'
import type {ErrorKind} from '../contract/error-kinds.ts'
import {type DomainError, isProblem, problem} from '../domain/errors.ts'

export const httpStatus: Record<ErrorKind, number> = {
  unauthenticated: 401,
  forbidden: 403,
  invalid: 400,
  over_capacity: 409,
  over_quota: 403,
  not_found: 404,
  method: 405,
  misdirected: 421,
  media_type: 415,
  too_large: 413,
  conflict: 409,
  unprocessable: 422,
  too_many: 429,
  unavailable: 503,
  bad_gateway: 502,
  timeout: 504,
  out_of_space: 507,
  internal: 500,
}

/** Seconds after which trying again makes sense, where the failure does not say. */
const retryAfterSeconds = 2

export interface Failure {
  status: number
  body: unknown
}

/** What is wrong and how to mend it, for a family that has one text for both. */
export function inOneText(message: string, hint: string): string {
  return `${message.replace(/\.$/, '')}. ${hint}`
}

/** How the native API says no. */
export function nativeFailure(error: DomainError, requestId: string): Failure {
  const {code, message, hint, details} = error
  return {status: httpStatus[error.kind], body: {error: {code, message, hint, details, requestId}}}
}

/** Sends a failure as it is: never through the schema of a success, which would drop its members. */
export function sendFailure(reply: FastifyReply, error: DomainError, failure: Failure): FastifyReply {
  // What is left of the body is not waited for.
  if (error.kind === 'too_large') reply.header('connection', 'close')
  for (const [name, value] of Object.entries(failureHeaders(error, failure.status))) reply.header(name, value)
  return reply
    .code(failure.status)
    .type('application/json; charset=utf-8')
    .serializer(text => text as string)
    .send(JSON.stringify(failure.body))
}

function failureHeaders(error: DomainError, status: number): Record<string, string> {
  if (status === 401) return {'www-authenticate': 'Bearer realm="gpuctl"'}
  if (error.kind !== 'too_many' && error.kind !== 'unavailable') return {}
  return {'retry-after': String(Math.max(1, Math.ceil(Number(error.details.seconds ?? retryAfterSeconds))))}
}

/** What an error thrown anywhere below a route means to the caller. A bug is `internal`, with the error as its cause. */
export function asProblem(error: unknown, bodyLimitBytes: number, mediaType = ''): DomainError {
  if (isProblem(error)) return error
  const {code, statusCode} = error as {code?: string; statusCode?: number}
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return problem('body_too_large', {limit: inWords(bodyLimitBytes)})
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return problem('media_type_unknown', {type: mediaType.slice(0, 64) || '(none)'})
  }
  if (code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH') {
    return problem('input_unreadable', {problem: 'it is not as long as Content-Length says'})
  }
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_MAX_PARAM_LENGTH') {
    const wrong = code === 'FST_ERR_BAD_URL' ? 'is not well encoded' : 'has too long a part'
    return problem('input_invalid', {field: 'path', problem: wrong, fix: 'Correct it.'})
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return problem('input_unreadable', {problem: 'it did not arrive whole'}, {cause: error})
  }
  return problem('internal', {}, {cause: error})
}

function inWords(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${bytes / 1024 / 1024} MiB` : `${bytes / 1024} KiB`
}
