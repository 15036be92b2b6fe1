import type {LogChunk} from './driver.ts'

/**
 * One record of a log file as Docker's json-file driver writes it: `{"log":"text\n","stream":"stdout","time":"…Z"}`.
 * Points into the bytes that were read, since copying millions of lines one by one is what makes reading slow.
 */
export interface JsonLogRecord {
  stream: LogChunk['stream']
  /** The text without a newline at its end lies here. */
  source: Buffer
  from: number
  to: number
  /** False for a piece of a long line: more follows. */
  endsLine: boolean
  /** RFC 3339, always nine digits of a second, so that two compare as text. */
  time(): string
}

const quote = 0x22
const backslash = 0x5c
/** Of `{"log":"`. */
const textAt = 8
/** From the end of the text to the begin of the time: `","stream":"stdout","time":"`. */
const textToTime = 28
const streamToTime = 16

/**
 * Reads the line from `from` up to its newline at `end`. Almost every record is plain text, whose bytes are taken as they
 * are; only one with escapes is parsed as JSON. `firstBackslash` tells where the next one in `piece` is, from a place on.
 * Undefined for a line that is cut or damaged.
 */
export function parseJsonLogLine(
  piece: Buffer,
  from: number,
  end: number,
  firstBackslash: (from: number) => number,
): JsonLogRecord | undefined {
  let timeAt = end - 3
  for (const stop = Math.max(from, timeAt - 32); timeAt > stop && piece[timeAt] !== quote; timeAt--);
  timeAt++
  const textEnd = timeAt - textToTime
  const textFrom = from + textAt
  const isUsual =
    textEnd >= textFrom &&
    piece[textEnd] === quote &&
    piece[textEnd + 1] === 0x2c && // ,
    piece[timeAt - 2] === 0x3a && // :
    piece[textEnd + 3] === 0x73 && // s of stream
    piece[from + 5] === quote &&
    piece[from + 6] === 0x3a
  if (!isUsual) return parseSlowly(piece.toString('utf8', from, end))
  const escapeAt = firstBackslash(textFrom)
  const endsLine = escapeAt === textEnd - 2 && piece[escapeAt + 1] === 0x6e // \n
  if (escapeAt < textEnd && !endsLine) return parseSlowly(piece.toString('utf8', from, end))
  return {
    stream: piece[timeAt - streamToTime + 3] === 0x65 ? 'stderr' : 'stdout', // std-e-rr, std-o-ut
    source: piece,
    from: textFrom,
    to: endsLine ? escapeAt : textEnd,
    endsLine,
    time: () => padTime(piece.toString('latin1', timeAt, end - 2)),
  }
}

/** A search that remembers its last find, for places that only go forward. */
export function backslashFinder(piece: Buffer): (from: number) => number {
  let found = -1
  return from => {
    if (found >= from) return found
    const at = piece.indexOf(backslash, from)
    found = at === -1 ? piece.length : at
    return found
  }
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

function parseSlowly(line: string): JsonLogRecord | undefined {
  try {
    const {log = '', stream, time} = JSON.parse(line) as {log?: string; stream: string; time: string}
    const endsLine = log.endsWith('\n')
    const source = Buffer.from(endsLine ? log.slice(0, -1) : log)
    const which = stream === 'stderr' ? 'stderr' : 'stdout'
    return {stream: which, source, from: 0, to: source.length, endsLine, time: () => padTime(time)}
  } catch {
    return undefined
  }
}
