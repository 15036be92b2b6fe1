export type LinkErrorCode =
  /** The link ended, before or during the call. */
  | 'link_down'
  | 'timeout'
  /** Too many calls or streams at once; nothing was sent. */
  | 'busy'
  /** The other side ended this one stream before it was whole. */
  | 'stream_reset'
  | 'too_big'
  | 'bad_answer'
  | 'aborted'

/** A call over the link that has no whole answer. Whether the other side did the work is not known, except for `busy`. */
export class LinkError extends Error {
  override readonly name = 'LinkError'
  readonly code: LinkErrorCode

  constructor(code: LinkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The other side answered, with a failure of its own. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError'
  /** HTTP status, 300 to 599 */
  readonly status: number
  /** Of the other side's catalogue; `failed` when it gave none. */
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The server answered the upgrade with something else than 101. */
export class LinkRefused extends Error {
  override readonly name = 'LinkRefused'
  readonly status: number
  /** At most 4 KiB of what the server said. */
  readonly body: string

  constructor(status: number, body: string) {
    super(`The server refused the link with status ${status}${body && `: ${wordsOf(body).slice(0, 200)}`}`)
    this.status = status
    this.body = body
  }
}

/** The sentence of an error envelope; what is no envelope as it is. */
function wordsOf(body: string): string {
  try {
    const {message} = (JSON.parse(body) as {error?: {message?: unknown}}).error ?? {}
    return typeof message === 'string' ? message : body
  } catch {
    return body
  }
}
