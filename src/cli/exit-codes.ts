import {type ErrorCode, type ErrorKind, errorKinds} from '../contract/error-kinds.ts'

/** What gpuctl ends with, beside the workload's own code (`exec`, `logs -f`, `claim submit --wait`). */
export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  unauthenticated: 4,
  conflict: 5,
  capacity: 6,
  unreachable: 7,
  forbidden: 8,
  cancelled: 9,
  /** Of `diff` something is not as the files say; of a --dry-run something would be changed. */
  differs: 10,
  timedOut: 124,
  interrupted: 130,
  /** The connection under a remote command broke, as with ssh. */
  transport: 255,
} as const

export const exitCodeOfKind: Record<ErrorKind, number> = {
  unauthenticated: exitCode.unauthenticated,
  forbidden: exitCode.forbidden,
  invalid: exitCode.usage,
  unprocessable: exitCode.usage,
  too_large: exitCode.usage,
  over_capacity: exitCode.capacity,
  over_quota: exitCode.capacity,
  not_found: exitCode.notFound,
  conflict: exitCode.conflict,
  too_many: exitCode.unreachable,
  unavailable: exitCode.unreachable,
  method: exitCode.failure,
  misdirected: exitCode.failure,
  media_type: exitCode.failure,
  bad_gateway: exitCode.failure,
  timeout: exitCode.failure,
  out_of_space: exitCode.failure,
  internal: exitCode.failure,
}

const exitCodeOfStatus: Record<number, number> = {
  400: exitCode.usage,
  401: exitCode.unauthenticated,
  403: exitCode.forbidden,
  404: exitCode.notFound,
  409: exitCode.conflict,
  422: exitCode.usage,
  429: exitCode.unreachable,
  503: exitCode.unreachable,
}

/** By the server's code where we know it, else (an older or newer server) by the HTTP status. */
export function exitCodeOf(code: string, status: number): number {
  if (code === 'not_gpuctl') return exitCode.unreachable
  const kind = Object.hasOwn(errorKinds, code) ? errorKinds[code as ErrorCode] : undefined
  return kind ? exitCodeOfKind[kind] : (exitCodeOfStatus[status] ?? exitCode.failure)
}
