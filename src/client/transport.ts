import {type ClientRequest, type IncomingMessage, request as plainRequest, type RequestOptions} from 'node:http'
import type {Readable} from 'node:stream'
import {UnreachableError} from './api-error.ts'
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
const maxAnswerBytes = 256 * 1024 * 1024

/**
 * Sends one message on a connection of its own and resolves with the answer as soon as its head is there; its body is the
 * caller's to read. Redirects are not followed. Throws UnreachableError.
 */
export async function send(target: Target, message: Message): Promise<IncomingMessage> {
  const url = new URL(message.path, target.server)
  // TLS costs 17 ms to load; a local server does not need it.
  const isTls = url.protocol === 'https:'
  const open = isTls ? (await import('node:https')).request : plainRequest
  const tls = isTls ? await import('./tls.ts') : undefined
  return new Promise((resolve, reject) => {
    let shown = (): string | undefined => undefined
    const fail = (error: NodeJS.ErrnoException) =>
      reject(
        message.signal?.aborted
          ? message.signal.reason
          : new UnreachableError(target.server, error, changedCertificate(target, shown())),
      )
    const call = open(url, {...optionsOf(target, message), ...tls?.tlsOptions(target)})
    if (tls) {
      call.once('socket', socket => {
        shown = tls.watchCertificate(socket)
      })
    }
    call.on('error', fail)
    call.on('timeout', () => call.destroy(silence()))
    call.once('response', answer => {
      if (message.isStream) call.setTimeout(0)
      resolve(answer)
    })
    abortWith(call, message.signal)
    if (message.upload) {
      const {content} = message.upload
      content.once('error', error => call.destroy(error))
      call.once('close', () => content.destroy())
      content.pipe(call)
    } else call.end(message.body)
  })
}

function optionsOf({token}: Target, {method, headers, body, upload, timeoutMs}: Message): RequestOptions {
  return {
    method,
    agent: false,
    timeout: timeoutMs,
    headers: {
      ...headers,
      ...(token === undefined ? {} : {authorization: `Bearer ${token}`}),
      ...(upload ? {'content-type': 'application/octet-stream', 'content-length': String(upload.bytes)} : {}),
      ...(body === undefined
        ? {}
        : {'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body))}),
    },
  }
}

/** Both fingerprints, where the server showed another certificate than the pinned one. */
export function changedCertificate(
  {pin}: Target,
  shown: string | undefined,
): {pinned: string; shown: string} | undefined {
  return pin && shown !== undefined && shown !== pin.fingerprint ? {pinned: pin.fingerprint, shown} : undefined
}

function abortWith(call: ClientRequest, signal: AbortSignal | undefined): void {
  if (!signal) return
  const abort = () => call.destroy()
  signal.addEventListener('abort', abort, {once: true})
  call.once('close', () => signal.removeEventListener('abort', abort))
  if (signal.aborted) abort()
}

function silence(): NodeJS.ErrnoException {
  return Object.assign(new Error('no answer in time'), {code: 'ETIMEDOUT'})
}

/** The whole body as text. Throws UnreachableError when it is cut, RangeError when it is too long. */
export async function readText(target: Target, answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      bytes += piece.length
      if (bytes > maxAnswerBytes) throw new RangeError(`The answer is larger than ${maxAnswerBytes} bytes.`)
      pieces.push(piece)
    }
  } catch (error) {
    throw error instanceof RangeError ? error : new UnreachableError(target.server, error as NodeJS.ErrnoException)
  }
  return Buffer.concat(pieces).toString('utf8')
}
