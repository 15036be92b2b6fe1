import {PassThrough} from 'node:stream'
import {
  type ControlMessage,
  encodeControl,
  encodeFrame,
  FrameReader,
  frameKind,
  maxFrameBytes,
} from '../contract/frames.ts'
import type {ByteStream, ExecStream} from '../domain/ports.ts'

/** A connection as frames: stdin and `{eof}` in, stdout out; its end is the end of the socket. */
export function framedConnection(stream: ByteStream): ExecStream {
  const input = new InputReader()
  return {
    output: framed(stream.output),
    async write(bytes) {
      for (const piece of input.read(bytes)) await stream.write(piece)
      if (input.hasEnded) stream.end()
    },
    close: () => stream.close(),
  }
}

/** An upload as frames: stdin and `{eof}` in, `{exit: {code: 0}}` out when it is worked off. `take` reads what comes. */
export function framedUpload(take: (content: AsyncIterable<Uint8Array>) => Promise<void>): ExecStream {
  const input = new InputReader()
  const content = new PassThrough()
  content.on('error', () => {}) // seen by its reader
  const taken = take(content).finally(() => content.destroy())
  taken.catch(() => {}) // told by the output
  return {
    output: (async function* () {
      await taken
      yield encodeControl({exit: {code: 0, reason: ''}})
    })(),
    async write(bytes) {
      // A reader that has stopped takes no more, and says why.
      for (const piece of input.read(bytes)) await new Promise<void>(resolve => content.write(piece, () => resolve()))
      if (input.hasEnded) content.end()
    },
    close: () => {
      if (!content.writableEnded) content.destroy(new Error('The upload was broken off.'))
    },
  }
}

async function* framed(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces)
    for (let at = 0; at < piece.length; at += maxFrameBytes)
      yield encodeFrame(frameKind.stdout, piece.subarray(at, at + maxFrameBytes))
}

/** The bytes of the frames that a client sends. */
class InputReader {
  readonly #frames = new FrameReader()
  hasEnded = false;

  *read(bytes: Uint8Array): Generator<Uint8Array> {
    for (const {kind, payload} of this.#frames.read(bytes)) {
      if (kind === frameKind.stdin) yield payload
      else this.hasEnded ||= (JSON.parse(Buffer.from(payload).toString()) as ControlMessage).eof === true
    }
  }
}
