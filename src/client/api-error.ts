/** What the server says when it refuses: `{"error":{code,message,hint,details,requestId}}`, with the HTTP status. */
export class ApiError extends Error {
  readonly code: string
  readonly status: number
  readonly hint: string
  readonly details: Record<string, unknown>
  readonly requestId: string
  /** Seconds after which the server asks to be called again; undefined when it does not say. */
  readonly retryAfterSeconds: number | undefined

  constructor(answer: ApiFailure) {
    super(answer.message)
    this.name = 'ApiError'
    this.code = answer.code
    this.status = answer.status
    this.hint = answer.hint
    this.details = answer.details
    this.requestId = answer.requestId
    this.retryAfterSeconds = answer.retryAfterSeconds
  }
}

export interface ApiFailure {
  code: string
  message: string
  hint: string
  details: Record<string, unknown>
  requestId: string
  status: number
  retryAfterSeconds?: number
}

/** The server did not answer: refused, unknown host, cut, silent for too long, or its certificate is not trusted. */
export class UnreachableError extends Error {
  readonly code: 'server_unreachable' | 'server_silent' | 'tls_failed' | 'certificate_changed'
  readonly hint: string
  /** Nothing of the request can have reached the server. */
  readonly nothingSent: boolean

  /** `other`: the fingerprints of the certificate that the server had at the login, and of the one that it shows now. */
  constructor(server: string, cause: NodeJS.ErrnoException, other?: {pinned: string; shown: string}) {
    const code = other ? 'certificate_changed' : failureOf(cause)
    const why = other
      ? `\n  at the login  SHA256:${other.pinned}\n  now           SHA256:${other.shown}\n`
      : `: ${reasonOf(cause)}`
    const speaksNoTls = cause.code === 'EPROTO' && /wrong version number|packet length too long/.test(cause.message)
    const said = speaksNoTls ? 'answers, and speaks no TLS' : `${words[code]}${code === 'server_silent' ? '' : why}`
    super(`${server} ${said}.`.replace(/\n\.$/, ''), {cause})
    this.name = 'UnreachableError'
    this.code = code
    this.hint =
      cause.code === 'PROXY_FAILED'
        ? proxyHint
        : speaksNoTls
          ? 'Write its address with http://, or check the port.'
          : hints[code]
    this.nothingSent = notSent.has(cause.code ?? '')
  }
}

const words = {
  server_unreachable: 'cannot be reached',
  server_silent: 'did not answer in time',
  tls_failed: 'shows a certificate that is not trusted',
  certificate_changed: 'shows another certificate than at the login: somebody may stand between, or it was renewed.',
}
const hints = {
  server_unreachable:
    'Check the address (`gpuctl context list`) and that the server runs (`gpuctl server status`, `gpuctl up`).',
  server_silent: 'Try again, or look at the server with `gpuctl server status`.',
  tls_failed:
    'Give its certificate authority with --ca-cert FILE or GPUCTL_CA_CERT; or log in, which shows and keeps its fingerprint.',
  certificate_changed:
    'Nothing was sent. Run `gpuctl server status` on the server itself; if it shows the second one, trust it with `gpuctl login SERVER --fingerprint SHA256:…`.',
}
const proxyHint =
  'Check HTTPS_PROXY and HTTP_PROXY; a proxy that wants a login takes http://USER:PASSWORD@HOST:PORT. NO_PROXY names servers that are reached without it.'
const notSent = new Set(['PROXY_FAILED', 'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

function failureOf({code = '', message}: NodeJS.ErrnoException): UnreachableError['code'] {
  if (code === 'ETIMEDOUT') return 'server_silent'
  if (code === 'PROXY_FAILED') return 'server_unreachable'
  const isTls = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO|ALTNAME|EPROTO/.test(code) || /certificate/.test(message)
  return isTls ? 'tls_failed' : 'server_unreachable'
}

function reasonOf({code, message}: NodeJS.ErrnoException): string {
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the host name is not known'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'the connection was cut'
  return message || (code ?? 'unknown reason')
}

/** Reads the server's refusal from an answer's body; whatever else answered (a proxy, say) becomes code `not_gpuctl`. */
export function readFailure(status: number, text: string, headers: Record<string, unknown>): ApiError {
  const retryAfter = Number(headers['retry-after'])
  const retryAfterSeconds = Number.isFinite(retryAfter) && retryAfter >= 0 ? retryAfter : undefined
  try {
    const {error} = JSON.parse(text) as {error: Partial<ApiFailure> & {type?: string}}
    // The OpenAI-compatible API has a type beside its code, which may be a number.
    const code = typeof error.code === 'string' ? error.code : error.type
    if (typeof error.message === 'string' && typeof code === 'string') {
      const {message, hint = '', details = {}, requestId = ''} = error
      return new ApiError({code, message, hint, details, requestId, status, retryAfterSeconds})
    }
  } catch {
    // Not our envelope: said below.
  }
  return notGpuctl(status, retryAfterSeconds)
}

/** What answered is something else: a proxy, a portal, another program at that port. */
export function notGpuctl(status: number, retryAfterSeconds?: number): ApiError {
  return new ApiError({
    code: 'not_gpuctl',
    message: `The answer (HTTP ${status}) does not come from a gpuctl server.`,
    hint: 'Check the address with `gpuctl context list`, and what stands between: a proxy, or a network that wants a login.',
    details: {},
    requestId: '',
    status,
    retryAfterSeconds,
  })
}
