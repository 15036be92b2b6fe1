import {encodeControl, encodeFrame, frameKind} from '../contract/frames.ts'
import type {LogChunk} from '../runtime/driver.ts'

/** A longer line is passed on in pieces (reliability F27). */
const longestLineBytes = 64 * 1024
const newline = 10

/** Output as frames, as it comes from the runtime. */
export async function* frameLogs(chunks: AsyncIterable<LogChunk>): AsyncGenerator<Buffer> {
  for await (const {stream, data} of chunks) yield encodeFrame(frameKind[stream], data)
}

/**
 * Output with a bookmark: whole lines as frames, after each piece a control frame with the time of its last line. The
 * chunks must carry timestamps; they are cut off unless they are wanted.
 */
export async function* frameLogsWithBookmarks(
  chunks: AsyncIterable<LogChunk>,
  keepTimestamps: boolean,
): AsyncGenerator<Buffer> {
  const rest = {stdout: Buffer.alloc(0), stderr: Buffer.alloc(0)}
  let last = ''
  for await (const {stream, data} of chunks) {
    const bytes = rest[stream].length ? Buffer.concat([rest[stream], data]) : data
    const end = bytes.lastIndexOf(newline) + 1
    const whole = end === 0 && bytes.length > longestLineBytes ? bytes.length : end
    rest[stream] = Buffer.from(bytes.subarray(whole))
    if (whole === 0) continue
    const piece = readLines(bytes.subarray(0, whole), keepTimestamps)
    if (piece.last > last) last = piece.last
    yield encodeFrame(frameKind[stream], piece.text)
    if (last) yield encodeControl({last})
  }
  for (const stream of ['stdout', 'stderr'] as const) {
    if (rest[stream].length === 0) continue
    yield encodeFrame(frameKind[stream], readLines(rest[stream], keepTimestamps).text)
  }
}

/** `2026-11-21T06:29:33.123456789Z text`: the time of the last line, and the text with or without the times. */
function readLines(bytes: Buffer, keepTimestamps: boolean): {text: Buffer; last: string} {
  let last = ''
  const pieces: Buffer[] = []
  for (let from = 0; from < bytes.length; ) {
    const newlineAt = bytes.indexOf(newline, from)
    const to = newlineAt === -1 ? bytes.length : newlineAt + 1
    const space = bytes.indexOf(32, from)
    const stamped = space > from && space - from <= 36 && space < to && bytes[from + 10] === 0x54
    if (stamped) last = bytes.toString('latin1', from, space)
    pieces.push(bytes.subarray(stamped && !keepTimestamps ? space + 1 : from, to))
    from = to
  }
  return {text: keepTimestamps ? bytes : Buffer.concat(pieces), last}
}
