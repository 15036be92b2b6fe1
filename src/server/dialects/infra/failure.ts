import type {DomainError} from '../../../domain/errors.ts'
import {type Failure, httpStatus, inOneText} from '../../errors.ts'

/** The document's envelope, of every failure (wire.md 2). */
export function failure({code, kind, message, hint, details}: DomainError): Failure {
  const text = kind === 'internal' ? message : inOneText(message, hint)
  return {status: httpStatus[kind], body: {error: {code: code.toUpperCase(), message: text, details}}}
}
