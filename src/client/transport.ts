import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as plainRequest,
  type RequestOptions,
} from 'node:http'
import type {Answer} from './answer-reader.ts'
import {UnreachableError} from './api-error.ts'
import {cutOff, type Message, maxAnswerBytes, silence, type Target} from './message.ts'

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
  const route = target.proxy && (await routeThrough(target.proxy, url))
  return new Promise((resolve, reject) => {
    let shown = (): string | undefined => undefined
    const fail = (error: NodeJS.ErrnoException) =>
      reject(
        message.signal?.aborted
          ? message.signal.reason
          : new UnreachableError(target.server, error, changedCertificate(target, shown())),
      )
    const options = optionsOf(target, message)
    const call = open(url, {
      ...options,
      ...tls?.tlsOptions(target),
      ...route?.options,
      headers: {...(options.headers as OutgoingHttpHeaders), ...route?.headers},
    })
    if (tls) {
      call.once('socket', socket => {
        shown = tls.watchCertificate(socket)
      })
    }
    call.on('error', fail)
    call.on('timeout', () => call.destroy(silence()))
    call.once('response', answer => {
      const refusal = route?.refusalOf(answer)
      if (refusal) {
        call.destroy()
        return fail(refusal)
      }
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

/** The whole address to the proxy for http, a tunnel through it for https. */
async function routeThrough(proxy: URL, url: URL) {
  const {proxyAgent, credentialsFor, refusalOf} = await import('./proxy.ts')
  const isTls = url.protocol === 'https:'
  const agent = await proxyAgent(proxy, url, isTls ? 'tunnel' : 'forward')
  return {
    options: isTls ? {agent} : {agent, path: url.href},
    headers: isTls ? {} : credentialsFor(proxy),
    refusalOf: (answer: IncomingMessage) => (isTls ? undefined : refusalOf(proxy, answer)),
  }
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

/** Sends a JSON call and resolves with the whole answer. */
export async function sendAndRead(target: Target, message: Message): Promise<Answer> {
  const answer = await send(target, message)
  const {statusCode = 0, headers} = answer
  return {statusCode, headers, text: await readText(target, answer)}
}

/** The whole body as text. Throws UnreachableError when it is cut, RangeError when it is too long. */
export function readText(target: Target, answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(error instanceof RangeError ? error : new UnreachableError(target.server, error as NodeJS.ErrnoException))
    answer.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes > maxAnswerBytes) answer.destroy(new RangeError(`The answer is larger than ${maxAnswerBytes} bytes.`))
      else pieces.push(piece)
    })
    answer.once('end', () => resolve(Buffer.concat(pieces).toString('utf8')))
    answer.once('error', fail)
    answer.once('close', () => fail(cutOff()))
  })
}
