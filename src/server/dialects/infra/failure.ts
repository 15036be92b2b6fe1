import type {DomainError} from '../../../domain/errors.ts'
import {type Failure, httpStatus, inOneText} from '../../errors.ts'

/** Of the document, which knows one status for what failed on a node. */
const own: Partial<Record<DomainError['kind'], number>> = {bad_gateway: 500, timeout: 500, out_of_space: 500}

/** The document's envelope, of every failure (wire.md 2). */
export function failure({code, kind, message, hint, details}: DomainError): Failure {
  const text = kind === 'internal' ? message : inOneText(message, hint)
  return {status: own[kind] ?? httpStatus[kind], body: {error: {code: code.toUpperCase(), message: text, details}}}
}
