import type {LogChunk} from './driver.ts'

const headerBytes = 8
/** `2026-11-21T07:00:00.123456789Z ` */
const stampBytes = 31

/**
 * Takes Docker's multiplexed output apart: frames of 8 bytes header (stream, 0, 0, 0, length) and payload, cut anywhere.
 * Holds at most a header's bytes between two pieces, so its memory is bounded whatever a tenant prints.
 */
export class DockerFrameReader {
  readonly #header = Buffer.alloc(headerBytes)
  #headerFilled = 0
  #payloadLeft = 0
  #stream: LogChunk['stream'] = 'stdout'
  #dropLeft = 0
  readonly #inLine = {stdout: false, stderr: false}
  readonly #stampedFrames: boolean

  /** With timestamps Docker cuts a long line into frames and stamps each: `stampedFrames` keeps the stamp of a line only. */
  constructor({stampedFrames = false}: {stampedFrames?: boolean} = {}) {
    this.#stampedFrames = stampedFrames
  }

  /** The payloads in this piece, in order; neighbours of one stream are one chunk. */
  read(piece: Buffer): LogChunk[] {
    const chunks: LogChunk[] = []
    let parts: Buffer[] = []
    let current: LogChunk['stream'] = this.#stream
    const flush = () => {
      const [first] = parts
      if (first) chunks.push({stream: current, data: parts.length === 1 ? first : Buffer.concat(parts)})
      parts = []
    }
    for (let at = 0; at < piece.length; ) {
      if (this.#payloadLeft === 0) {
        at = this.#readHeader(piece, at)
        continue
      }
      if (this.#dropLeft > 0) {
        const drop = Math.min(this.#dropLeft, this.#payloadLeft, piece.length - at)
        this.#dropLeft -= drop
        this.#payloadLeft -= drop
        at += drop
        continue
      }
      const end = Math.min(piece.length, at + this.#payloadLeft)
      if (current !== this.#stream) {
        flush()
        current = this.#stream
      }
      parts.push(piece.subarray(at, end))
      this.#payloadLeft -= end - at
      this.#inLine[this.#stream] = piece[end - 1] !== 0x0a
      at = end
    }
    flush()
    return chunks
  }

  #readHeader(piece: Buffer, at: number): number {
    const take = Math.min(headerBytes - this.#headerFilled, piece.length - at)
    piece.copy(this.#header, this.#headerFilled, at, at + take)
    this.#headerFilled += take
    if (this.#headerFilled === headerBytes) {
      this.#stream = this.#header[0] === 2 ? 'stderr' : 'stdout'
      this.#payloadLeft = this.#header.readUInt32BE(4)
      this.#headerFilled = 0
      this.#dropLeft = this.#stampedFrames && this.#inLine[this.#stream] ? stampBytes : 0
    }
    return at + take
  }
}

/** JSON values, one a line, cut anywhere. A line over `maxLineBytes` is left out. */
export class JsonLineReader {
  #rest = ''
  #skipping = false
  readonly #decoder = new TextDecoder()
  readonly #maxLineBytes: number

  constructor(maxLineBytes = 1024 * 1024) {
    this.#maxLineBytes = maxLineBytes
  }

  read(piece: Buffer): unknown[] {
    const lines = (this.#rest + this.#decoder.decode(piece, {stream: true})).split('\n')
    this.#rest = lines.pop() ?? ''
    const values: unknown[] = []
    for (const line of lines) {
      if (!this.#skipping && line.trim()) values.push(JSON.parse(line))
      this.#skipping = false
    }
    if (this.#rest.length > this.#maxLineBytes) {
      this.#rest = ''
      this.#skipping = true
    }
    return values
  }
}
