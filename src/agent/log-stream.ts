import {encodeControl, encodeFrame, frameKind} from '../contract/frames.ts'
import type {LogChunk} from '../runtime/driver.ts'
import {LogLines} from './log-lines.ts'

/** Payload of one frame; a reader accepts 1 MiB. */
const longestPayloadBytes = 256 * 1024

/** Bytes as one frame or, where they are many, several. */
export function* frames(kind: 1 | 2, bytes: Uint8Array): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += longestPayloadBytes)
    yield encodeFrame(kind, bytes.subarray(from, from + longestPayloadBytes))
}

/** Output as frames, as it comes from the runtime. */
export async function* frameLogs(chunks: AsyncIterable<LogChunk>): AsyncGenerator<Buffer> {
  for await (const {stream, data} of chunks) yield* frames(frameKind[stream], data)
}

/**
 * Output with bookmarks: whole lines as frames, then a control frame with the time from which to go on after a cut, so
 * that no line is lost (those of that same time come again). The chunks must carry timestamps; they are cut off unless
 * they are wanted.
 */
export async function* frameLogsWithBookmarks(
  chunks: AsyncIterable<LogChunk>,
  keepStamps: boolean,
): AsyncGenerator<Buffer> {
  const lines = {stdout: new LogLines({keepStamps}), stderr: new LogLines({keepStamps})}
  let told = ''
  function* tell(stream: 'stdout' | 'stderr', text: Buffer[]): Generator<Buffer> {
    if (text.length === 0) return
    yield* frames(frameKind[stream], text.length === 1 ? (text[0] as Buffer) : Buffer.concat(text))
    const bookmark = bookmarkOf(lines.stdout, lines.stderr)
    if (bookmark === told) return
    told = bookmark
    yield encodeControl({last: bookmark})
  }
  for await (const {stream, data} of chunks) yield* tell(stream, lines[stream].read(data))
  for (const stream of ['stdout', 'stderr'] as const) yield* tell(stream, lines[stream].end())
}

/** The last whole line, unless one that is not whole yet began earlier on the other stream. */
function bookmarkOf(a: LogLines, b: LogLines): string {
  const last = a.last > b.last ? a.last : b.last
  return [a.half, b.half].reduce((least, half) => (half !== '' && half < least ? half : least), last)
}
