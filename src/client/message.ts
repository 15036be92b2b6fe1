import type {Readable} from 'node:stream'
import type {Pin} from './tls.ts'

/** Where calls go, and as whom. */
export interface Target {
  /** `http://HOST:PORT` or `https://HOST:PORT`, without a path. */
  server: string
  token?: string
  /** PEM of the only authority that is trusted for this server. */
  ca?: string
  /** Certificate that this server, and no other, has; comes before `ca`. */
  pin?: Pin
  /** Any certificate is taken, unless one is pinned. */
  insecure?: boolean
  /** Leads there; user and password for it may stand in it. */
  proxy?: URL
}

export interface Message {
  method: string
  /** Path and query. */
  path: string
  headers: Record<string, string>
  body?: string
  /** Bytes in place of a body: so many, as application/octet-stream. */
  upload?: {content: Readable; bytes: number}
  /** Longest wait for the beginning of the answer, and then between two pieces of it unless `isStream`. */
  timeoutMs: number
  isStream?: boolean
  signal?: AbortSignal
}

/** Most bytes of a JSON answer. */
export const maxAnswerBytes = 256 * 1024 * 1024

export function silence(): NodeJS.ErrnoException {
  return Object.assign(new Error('no answer in time'), {code: 'ETIMEDOUT'})
}

export function cutOff(): NodeJS.ErrnoException {
  return Object.assign(new Error('the connection was cut'), {code: 'ECONNRESET'})
}
