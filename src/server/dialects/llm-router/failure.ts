import type {ErrorCode, ErrorKind} from '../../../contract/error-kinds.ts'
import type {DomainError} from '../../../domain/errors.ts'
import {type Failure, httpStatus} from '../../errors.ts'

/** The family's fixed texts: they tell nothing of what stands behind (wire.md 1.1). */
const texts: Partial<Record<ErrorKind, string>> = {
  unauthenticated: 'Authentication failed',
  forbidden: 'Access denied',
  not_found: 'Node not found',
  bad_gateway: 'Backend service unavailable',
  unavailable: 'Service temporarily unavailable',
  too_many: 'Service temporarily unavailable',
  out_of_space: 'Insufficient storage',
  internal: 'Internal server error',
}

/** Where the family has another text or status than the kind says. */
const exceptions: Partial<Record<ErrorCode, {status?: number; text?: string}>> = {
  login_failed: {text: 'Invalid username or password'},
  route_unknown: {text: 'Request error'},
  gpu_required: {text: 'Request error'},
  runtime_not_pending: {status: 400},
  store_unavailable: {status: 500, text: 'Database error'},
}

/** `{error}`, and of what the caller can mend himself also what and how. */
export function failure(error: DomainError): Failure {
  const {status = httpStatus[error.kind], text = texts[error.kind] ?? 'Request error'} = exceptions[error.code] ?? {}
  const isHis = text === 'Request error' || error.code === 'too_many'
  return {status, body: {error: text, ...(isHis ? {message: error.message, hint: error.hint} : {})}}
}
