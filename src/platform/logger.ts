import {isatty} from 'node:tty'
import {type DestinationStream, type Logger, type LoggerOptions, pino} from 'pino'
import {safe} from './terminal-text.ts'

export type {Logger} from 'pino'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface LoggerSettings {
  level?: LogLevel
  /** A path (created with mode 0600, appended to) or a file descriptor. Default: stderr. */
  destination?: string | number
  /** One coloured line per record for a person, instead of JSON. Default: when the descriptor is a terminal. */
  pretty?: boolean
}

/** More than this is not kept in memory when the disk does not keep up; the rest is dropped. */
const MAX_UNWRITTEN_BYTES = 16 * 1024 * 1024

/** A pino logger: one line of JSON per record, newest last, secrets redacted whatever their depth. */
export function createLogger({level = 'info', destination = 2, pretty}: LoggerSettings = {}): Logger {
  const sync = typeof destination === 'number'
  const sink = pino.destination({dest: destination, sync, maxLength: MAX_UNWRITTEN_BYTES, mode: 0o600, append: true})
  // A full disk or a reader that went away must not end the program that wanted to say something about it.
  sink.on('error', () => {})
  const forPerson = pretty ?? (typeof destination === 'number' && isatty(destination))
  return createStreamLogger({level, pretty: forPerson, stream: sink})
}

/** The same over a stream of the caller's. */
export function createStreamLogger(settings: {level?: LogLevel; pretty?: boolean; stream: DestinationStream}): Logger {
  const {level = 'info', pretty = false, stream} = settings
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: {level: label => ({level: label})},
    hooks: {streamWrite: line => (pretty ? formatRecord(redact(line)) : redact(line))},
  }
  return pino(options, stream)
}

// On the finished line, because pino's own redaction needs every path and knows no depth. In valid JSON an unescaped
// quote always borders a string, so `"…secret":` can only be a key. Strings, numbers and lists of strings are covered;
// an object under such a key keeps its shape, and its own secrets are found in their turn.
const SECRETS = new RegExp(
  '("[\\w-]{0,40}(?:password|passwd|token|secret|authorization|cookie|api[_-]?key|private[_-]?key|client[_-]?key|jwt)":)' +
    '(?:"(?:[^"\\\\]|\\\\.)*"|\\[(?:"(?:[^"\\\\]|\\\\.)*",?)*\\]|-?\\d[^,}\\]]*)',
  'gi',
)

function redact(line: string): string {
  return line.replace(SECRETS, '$1"[redacted]"')
}

const COLOURS: Record<string, number> = {trace: 90, debug: 90, info: 36, warn: 33, error: 31, fatal: 35}

/** `12:34:56.789 INFO  the message key=value` on one line; what cannot be read goes out as it came. */
export function formatRecord(line: string): string {
  let record: Record<string, unknown>
  try {
    record = JSON.parse(line)
  } catch {
    return `${safe(line.trimEnd())}\n`
  }
  const {time, level, msg, err, ...rest} = record
  const name = String(level ?? 'info')
  const clock = String(time ?? '').slice(11, 23)
  const pairs = Object.entries(rest).map(([key, value]) => `${safe(key)}=${shown(value)}`)
  const failure = err as {message?: string} | undefined
  const reason = failure?.message !== undefined && failure.message !== msg ? [`err=${shown(failure.message)}`] : []
  const tail = [...reason, ...pairs].join(' ')
  const label = `\x1b[${COLOURS[name] ?? 0}m${safe(name).toUpperCase().padEnd(5)}\x1b[0m`
  return `${clock} ${label} ${safe(String(msg ?? ''))}${tail && ` \x1b[2m${tail}\x1b[0m`}\n`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@-]+$/.test(value) ? value : safe(JSON.stringify(value))
  return safe(JSON.stringify(value) ?? 'undefined')
}
