import {RuntimeError, type RuntimeErrorCode} from './driver.ts'

/** What dockerode throws: an engine's answer has `statusCode` and `json.message`, a broken connection `code`. */
interface EngineFailure extends Error {
  code?: string
  statusCode?: number
  json?: {message?: string} | Buffer | null
}

const brokenConnection = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOENT',
  'EPIPE',
  'EACCES',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'ABORT_ERR',
  'ERR_STREAM_PREMATURE_CLOSE',
])

const gpuTrouble =
  /could not select device driver|nvidia-container-cli|unknown device|gathering device information|Unknown runtime specified nvidia|unresolvable CDI devices|cdi/i

/** The HTTP status of the engine's refusal, if it answered. */
export function engineStatus(error: unknown): number | undefined {
  return (error as EngineFailure | undefined)?.statusCode
}

/** The engine's own words. */
export function engineWords(error: unknown): string {
  const {json, message} = error as EngineFailure
  const said = json && !Buffer.isBuffer(json) ? json.message : undefined
  return (said ?? message ?? String(error)).trim()
}

/** Makes a typed error of whatever the Docker client threw; `doing` begins its message. */
export function toRuntimeError(error: unknown, doing: string): RuntimeError {
  if (error instanceof RuntimeError) return error
  const {statusCode, code = ''} = error as EngineFailure
  const words = engineWords(error)
  if (statusCode !== undefined) {
    if (/client sent an HTTP request to an HTTPS server/i.test(words)) {
      return new RuntimeError('unreachable', 'The Docker Engine wants TLS, and no certificates are given.', {
        cause: error,
      })
    }
    return new RuntimeError(codeOfAnswer(statusCode, words), `${doing}: ${words}`, {cause: error})
  }
  const certificate = certificateTrouble(code)
  if (certificate) return new RuntimeError('unreachable', `${certificate} (${code})`, {cause: error})
  if (brokenConnection.has(code) || /socket hang up|aborted/.test(words)) {
    return new RuntimeError('unreachable', `${doing}: the Docker Engine cannot be reached (${code || words}).`, {
      cause: error,
    })
  }
  return new RuntimeError('failed', `${doing}: ${words}`, {cause: error})
}

function codeOfAnswer(status: number, words: string): RuntimeErrorCode {
  if (gpuTrouble.test(words)) return 'gpu_unavailable'
  if (status === 404)
    return /No such image|manifest unknown|pull access denied/i.test(words) ? 'image_missing' : 'no_container'
  if (status === 409 && /name .*already in use/i.test(words)) return 'name_taken'
  if (status === 400 || /executable file not found|invalid mount config|is not in the allowed/i.test(words))
    return 'invalid'
  return 'failed'
}

/** TLS errors that were measured against a real engine, in words that say whose certificate is wrong. */
function certificateTrouble(code: string): string | undefined {
  if (/^ERR_SSL_.*ALERT/.test(code)) return 'The Docker Engine refuses our client certificate'
  if (/^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_|ERR_TLS_CERT)/.test(code)) {
    return "The Docker Engine's certificate is not signed by the given CA or is for another host"
  }
  if (/^ERR_(SSL|OSSL|TLS)/.test(code)) return 'TLS with the Docker Engine failed'
  return undefined
}

/** The engine is there, but one side does not trust the other's certificate, or the login is refused. */
export function isRefusedLogin(error: unknown): boolean {
  const {cause} = error as Error
  const {statusCode, code = ''} = (cause ?? error) as EngineFailure
  return statusCode === 401 || statusCode === 403 || certificateTrouble(code) !== undefined
}
