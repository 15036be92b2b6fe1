import type {LogChunk} from './driver.ts'

/** One record of a log file as Docker's json-file driver writes it: `{"log":"text\n","stream":"stdout","time":"…Z"}`. */
export interface JsonLogRecord {
  stream: LogChunk['stream']
  /** RFC 3339, always nine digits of a second, so that two compare as text. */
  time: string
  /** The text as it was printed. Without a newline at its end it is a piece of a long line. */
  text: Buffer
}

const beforeText = Buffer.from('{"log":"')
const afterText = Buffer.from('","stream":"')
const newlineEscape = Buffer.from('\\n')
const quote = 0x22
const backslash = 0x5c
const newline = Buffer.from('\n')

/**
 * Reads one line of the file (without its newline). Almost every record is plain text, whose bytes are taken as they
 * are; only one with escapes is parsed as JSON. Undefined for a line that is cut or damaged.
 */
export function parseJsonLogLine(line: Buffer): JsonLogRecord | undefined {
  const end = line.lastIndexOf(afterText)
  if (end < beforeText.length || !line.subarray(0, beforeText.length).equals(beforeText)) return parseSlowly(line)
  const streamAt = end + afterText.length
  const streamEnd = line.indexOf(quote, streamAt)
  const timeAt = line.indexOf('"time":"', streamEnd, 'latin1') + 8
  const timeEnd = line.indexOf(quote, timeAt)
  if (streamEnd === -1 || timeAt === 7 || timeEnd !== line.length - 2) return parseSlowly(line)
  const raw = line.subarray(beforeText.length, end)
  const text = plainText(raw)
  if (!text) return parseSlowly(line)
  const stream = line[streamAt + 3] === 0x65 ? 'stderr' : 'stdout' // std-e-rr, std-o-ut
  return {stream, time: padTime(line.toString('latin1', timeAt, timeEnd)), text}
}

/** `…:05.12Z` → `…:05.120000000Z` */
export function padTime(time: string): string {
  if (time.length === 30) return time
  const seconds = time.slice(0, 19)
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? ''
  return `${seconds}.${fraction.slice(0, 9).padEnd(9, '0')}Z`
}

/** Nanoseconds since 1970 as RFC 3339 with nine digits. */
export function timeOfNs(ns: bigint): string {
  const ms = ns / 1_000_000n
  const seconds = new Date(Number(ms)).toISOString().slice(0, 19)
  return `${seconds}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`
}

/** The text when its only escape is the newline at its end, or there is none. */
function plainText(raw: Buffer): Buffer | undefined {
  const first = raw.indexOf(backslash)
  if (first === -1) return raw
  if (first !== raw.length - 2 || !raw.subarray(first).equals(newlineEscape)) return undefined
  return Buffer.concat([raw.subarray(0, first), newline])
}

function parseSlowly(line: Buffer): JsonLogRecord | undefined {
  try {
    const {log = '', stream, time} = JSON.parse(line.toString()) as {log?: string; stream: string; time: string}
    return {stream: stream === 'stderr' ? 'stderr' : 'stdout', time: padTime(time), text: Buffer.from(log)}
  } catch {
    return undefined
  }
}
