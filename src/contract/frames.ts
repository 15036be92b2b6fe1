/**
 * Frames of a log or exec stream on the wire: one byte kind, three bytes zero, four bytes length (big endian), payload.
 * The head is Docker's own (Engine API, "attach"), so that a stream of the engine can pass unchanged.
 */
export const frameKind = {stdin: 0, stdout: 1, stderr: 2, control: 3} as const
export type FrameKind = (typeof frameKind)[keyof typeof frameKind]

export interface Frame {
  kind: FrameKind
  payload: Uint8Array
}

/** Largest payload that a reader accepts, bytes. */
export const maxFrameBytes = 1024 * 1024

const headBytes = 8

export function encodeFrame(kind: FrameKind, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + payload.length)
  frame.writeUInt32BE(kind << 24, 0)
  frame.writeUInt32BE(payload.length, 4)
  frame.set(payload, headBytes)
  return frame
}

/** A control message: what is not output (`{exit}`, `{resize}`, `{last}`, `{dropped}`, `{error}`). */
export function encodeControl(message: ControlMessage): Buffer {
  return encodeFrame(frameKind.control, Buffer.from(JSON.stringify(message)))
}

export interface ControlMessage {
  /** The workload ended. */
  exit?: {code: number | null; reason: string}
  /** RFC 3339 nanosecond time of the last line sent so far: where to go on after a cut. */
  last?: string
  /** Bytes that were left out because the reader was too slow or a line too long. */
  dropped?: number
  resize?: {rows: number; columns: number}
  /** The client closed its input. */
  eof?: true
  /** To the command, as `SIGINT`. */
  signal?: string
  /** The client leaves, and the command runs on. */
  detach?: true
  error?: {code: string; message: string}
}

/** Cuts a byte stream into frames, whatever the pieces it comes in. Throws RangeError on a frame that is too large or of unknown kind. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  *read(piece: Uint8Array): Generator<Frame> {
    let bytes = this.#rest.length === 0 ? asBuffer(piece) : Buffer.concat([this.#rest, piece])
    while (bytes.length >= headBytes) {
      const kind = bytes[0] as FrameKind
      const length = bytes.readUInt32BE(4)
      if (kind > 3 || length > maxFrameBytes) throw new RangeError(`Not a frame: kind ${kind}, ${length} bytes.`)
      if (bytes.length < headBytes + length) break
      yield {kind, payload: bytes.subarray(headBytes, headBytes + length)}
      bytes = bytes.subarray(headBytes + length)
    }
    this.#rest = bytes
  }
}

function asBuffer(piece: Uint8Array): Buffer {
  return Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
}
