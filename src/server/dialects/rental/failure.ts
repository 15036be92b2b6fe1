import type {ErrorCode, ErrorKind} from '../../../contract/error-kinds.ts'
import type {DomainError} from '../../../domain/errors.ts'
import {type Failure, httpStatus, inOneText} from '../../errors.ts'

/** The code of an operation that failed (document 002), sent with HTTP 200: ruling 3. */
const failed = 7

/** What a failed try to log in is told; none of these is about the caller's token. */
const loginWords: Partial<Record<ErrorCode, string>> = {
  captcha_wrong: '验证码错误',
  login_failed: '用户名不存在或者密码错误',
  account_disabled: '用户被禁止登录',
}

const words: Partial<Record<ErrorCode, string>> = {
  login_required: '未登录或非法访问',
  token_invalid: '未登录或非法访问',
  token_expired: '授权已过期',
  role_too_low: '权限不足',
  scope_missing: '权限不足',
}

/** HTTP status and `code` are the same here, as the document's table has them. */
const sameCode: readonly ErrorKind[] = ['unauthenticated', 'forbidden', 'not_found', 'internal']
/** Not an operation that failed: the request found none, or could not be read. */
const ownStatus: readonly ErrorKind[] = ['method', 'misdirected', 'media_type', 'too_large']

export function failure(error: DomainError): Failure {
  const {kind, code, message, hint} = error
  const login = loginWords[code]
  if (login) return {status: 200, body: {code: failed, data: null, msg: login}}
  const msg = words[code] ?? (kind === 'invalid' ? inOneText(message, hint) : message)
  const status = httpStatus[kind]
  if (sameCode.includes(kind)) return {status, body: {code: status, data: null, msg}}
  return {status: ownStatus.includes(kind) ? status : 200, body: {code: failed, data: null, msg}}
}
