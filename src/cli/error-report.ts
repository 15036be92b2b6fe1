import {ApiError, UnreachableError} from '../client/api-error.ts'
import {exitCode, exitCodeOf} from './exit-codes.ts'
import {Failure} from './failure.ts'
import {escapeJson, safe} from './output/safe.ts'
import {wrap} from './output/wrap.ts'

export interface ErrorReport {
  code: string
  message: string
  hint: string
  details: Record<string, unknown>
  requestId: string
  exitCode: number
  /** The server's fault: the request id is worth showing. */
  isServersFault: boolean
}

/** Makes one thing of all that can go wrong: the server's refusals, no server, our own failures, oclif's, and bugs. */
export function describeError(error: unknown): ErrorReport {
  const plain = {hint: '', details: {}, requestId: '', isServersFault: false}
  if (error instanceof ApiError) {
    const {code, message, hint, details, requestId, status} = error
    const isServersFault = status >= 500
    return {code, message, hint, details, requestId, exitCode: exitCodeOf(code, status), isServersFault}
  }
  if (error instanceof UnreachableError) {
    return {...plain, code: error.code, message: error.message, hint: error.hint, exitCode: exitCode.unreachable}
  }
  if (error instanceof Failure) {
    const {code, hint, details} = error
    return {...plain, code, message: withoutParserWords(error.message), hint, details, exitCode: error.exitCode}
  }
  if (isPromptClosed(error)) {
    return {...plain, code: 'interrupted', message: 'Interrupted.', exitCode: exitCode.interrupted}
  }
  const {message = String(error), oclif, parse, hint} = error as OclifError
  if (parse !== undefined || message.startsWith('Parsing --') || oclif?.exit === exitCode.usage) {
    return {
      ...plain,
      code: 'usage',
      message: withoutParserWords(message),
      hint: hint ?? 'See it with --help.',
      exitCode: exitCode.usage,
    }
  }
  return {...plain, code: 'failed', message, hint: hint ?? '', exitCode: oclif?.exit ?? exitCode.failure}
}

/** What oclif's parser says, in our words: without where it was parsing, its notes on flags, and a pointer to the help. */
function withoutParserWords(message: string): string {
  const [, flag = '', said = message] = /^Parsing (--\S+)\s+([\s\S]*)$/.exec(message) ?? []
  const lines = said
    .split('\n')
    .map(line => line.trim())
    .filter(
      line =>
        line !== '' &&
        !/^(See more help|Note: --|Alternatively, you can use "--"|The following errors? occurred)/i.test(line),
    )
  const [first = '', ...others] = lines
  if (/^Missing \d+ required args?/.test(first)) {
    const names = others.map(line =>
      line.replace(/^(\S+)\s*(.*)$/, (_, name, what) => `${name.toUpperCase()} (${what})`),
    )
    return `${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} missing.`
  }
  const text = lines.join(' ').replace(/Missing required flag (\S+)/g, '--$1 is missing.')
  return flag === '' || text.startsWith('--') ? text : `${flag}: ${text}`
}

interface OclifError {
  message?: string
  hint?: string
  oclif?: {exit?: number}
  /** Only errors of oclif's parser carry it: input and output, never shown. */
  parse?: unknown
}

function isPromptClosed(error: unknown): boolean {
  const {name} = (error ?? {}) as Error
  return name === 'ExitPromptError' || name === 'AbortPromptError'
}

/** What machines get of it. */
export function errorBody({code, message, hint, details, requestId}: ErrorReport) {
  return {code, message, hint, details, requestId}
}

/** As the machine reads it, on stdout. */
export function errorAsJson(report: ErrorReport): string {
  return escapeJson(JSON.stringify({error: errorBody(report)}, undefined, 2))
}

/** As people read it, on stderr; on a terminal no line of words is wider than `width`. */
export function errorAsText(
  {code, message, hint, details, requestId, isServersFault}: ErrorReport,
  width?: number,
): string {
  const lines = [`Error: ${safe(message, {keepNewlines: true})} (E_${safe(code).toUpperCase()})`]
  const said = `${message} ${hint}`
  const why = Object.entries(details).filter(
    ([, value]) => ['string', 'number', 'boolean'].includes(typeof value) && !said.includes(String(value)),
  )
  if (why.length > 0) lines.push(`Why: ${why.map(([name, value]) => safe(`${name} = ${value}`)).join(', ')}`)
  if (hint) lines.push(`Try: ${safe(hint, {keepNewlines: true})}`)
  if (isServersFault && requestId) lines.push(`Request: ${safe(requestId)}`)
  return lines.map(line => wrap(line, width, ' '.repeat(line.indexOf(' ') + 1))).join('\n')
}
