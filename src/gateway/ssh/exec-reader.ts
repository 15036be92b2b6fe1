import {type ControlMessage, FrameReader, frameKind} from '../../contract/frames.ts'
import type {ExecStream} from '../../domain/ports.ts'

/** Takes the output of a process as it is wanted: no more of it is in memory than one piece. */
export class ExecReader {
  readonly #pieces: AsyncGenerator<Buffer>
  #rest: Buffer = Buffer.alloc(0)
  /** Of the process, once its output has ended. */
  exitCode: number | undefined
  /** The end of what it said on its error output. */
  errors = ''

  constructor(exec: ExecStream) {
    this.#pieces = this.#read(exec)
  }

  /** At most so many bytes, fewer only at the end of the output. */
  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let missing = length; missing > 0; ) {
      const piece = this.#rest.length > 0 ? this.#rest : await this.#next()
      if (!piece) break
      parts.push(piece.subarray(0, missing))
      this.#rest = piece.subarray(Math.min(missing, piece.length))
      missing -= Math.min(missing, piece.length)
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  }

  /** What comes before the mark, which is taken away; undefined when the output ends before it. At most `most` bytes. */
  async takeUntil(mark: string, most: number): Promise<Buffer | undefined> {
    const parts = [this.#rest]
    let length = this.#rest.length
    for (;;) {
      // A mark may lie across two pieces.
      const tail = Buffer.concat(parts.slice(-2))
      const found = tail.indexOf(mark)
      if (found >= 0) {
        const all = Buffer.concat(parts)
        const at = all.length - tail.length + found
        this.#rest = all.subarray(at + mark.length)
        return all.subarray(0, at)
      }
      if (length > most) throw new RangeError(`More than ${most} bytes.`)
      const piece = await this.#next()
      if (!piece) return undefined
      // Small pieces grow together, so that two of them hold any mark.
      if (parts.length > 1 && (parts.at(-1) as Buffer).length < mark.length) {
        parts.push(Buffer.concat([parts.pop() as Buffer, piece]))
      } else parts.push(piece)
      length += piece.length
    }
  }

  async #next(): Promise<Buffer | undefined> {
    const {value, done} = await this.#pieces.next()
    return done ? undefined : value
  }

  async *#read(exec: ExecStream): AsyncGenerator<Buffer> {
    const reader = new FrameReader()
    for await (const bytes of exec.output) {
      for (const {kind, payload} of reader.read(bytes)) {
        if (kind === frameKind.stdout) yield Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
        else if (kind === frameKind.stderr) this.errors = (this.errors + Buffer.from(payload).toString()).slice(-1_000)
        else if (kind === frameKind.control) {
          const {exit, error} = JSON.parse(Buffer.from(payload).toString()) as ControlMessage
          if (error) throw new Error(error.message)
          if (exit) this.exitCode = exit.code ?? 255
        }
      }
    }
  }
}
