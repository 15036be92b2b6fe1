import type {FastifyRequest} from 'fastify'
import type {ErrorCode} from '../../../contract/error-kinds.ts'
import type {DomainError} from '../../../domain/errors.ts'
import {type Failure, httpStatus, inOneText} from '../../errors.ts'

/** What the system behind the document says; all others say what the native API says. */
const words: Partial<Record<ErrorCode, string>> = {
  login_required: 'Not authenticated',
  token_invalid: 'Could not validate credentials',
  token_expired: 'Could not validate credentials',
  role_too_low: "The user doesn't have enough privileges",
  login_failed: 'Invalid credentials',
  account_disabled: 'Inactive user',
  node_not_assigned: 'Node not assigned to you',
  site_elsewhere: 'Site not on this node',
  join_blocked: 'Node is blocked',
  route_unknown: 'Not Found',
  method_unknown: 'Method Not Allowed',
}

/** Where the family's status is not that of the kind. */
const statuses: Partial<Record<ErrorCode, number>> = {
  login_failed: 400,
  account_disabled: 400,
  input_unreadable: 422,
  input_invalid: 422,
}

/** FastAPI's envelope: a text, or the list of what is wrong with the call. */
export function failure(error: DomainError, _requestId: string, request: FastifyRequest): Failure {
  const {code, kind} = error
  const isNodeKey = request.routeOptions.config.access === 'node' && kind === 'unauthenticated'
  if (isNodeKey) return {status: 403, body: {detail: code === 'login_required' ? words[code] : 'Invalid API key'}}
  const status = statuses[code] ?? httpStatus[kind]
  return {status, body: {detail: code.startsWith('input_') ? flaws(error) : textOf(error)}}
}

function textOf({code, message, details}: DomainError): string {
  if (code === 'not_found' && details.kind === 'node') return 'Node not found'
  return words[code] ?? message
}

function flaws({code, message, details}: DomainError): {loc: string[]; msg: string; type: string}[] {
  if (code === 'input_unreadable') return [{loc: ['body'], msg: message, type: 'json_invalid'}]
  const {field = '', problem = '', fix = '', place = 'body'} = details as Record<string, string>
  const loc = [place, ...(field === place ? [] : field.split('.'))]
  if (problem === 'is missing') return [{loc, msg: 'Field required', type: 'missing'}]
  return [{loc, msg: inOneText(problem, fix), type: 'value_error'}]
}
