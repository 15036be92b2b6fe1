/** A longer line is passed on in pieces (reliability F27). */
const longestLineBytes = 64 * 1024
/** Docker stores a longer line in entries of so many bytes, each with a time of its own, the last with the newline. */
const entryBytes = 16 * 1024
const newline = 10
const longestStampBytes = 37
const stamp = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) /
const maybeStamp = /^\d[\d:.TZ+-]*$/

/**
 * Cuts the output of one stream, which comes in pieces of any size and carries a time at the head of each line, into
 * whole lines, with or without those times.
 */
export class LogLines {
  readonly #keepStamps: boolean
  /** Head of an entry that may be half a time. */
  #undecided: Buffer = Buffer.alloc(0)
  /** Text of the line that is not whole yet. */
  #half: Buffer[] = []
  #halfBytes = 0
  #isLineStart = true
  #isEntryStart = true
  #entrySize = 0
  #lineStamp = ''
  #last = ''

  constructor({keepStamps}: {keepStamps: boolean}) {
    this.#keepStamps = keepStamps
  }

  /** Time of the last whole line, '' before the first. */
  get last(): string {
    return this.#last
  }

  /** Time of the line that has begun and is not whole yet; '' when there is none. */
  get half(): string {
    return this.#isLineStart ? '' : this.#lineStamp
  }

  /** The whole lines that these bytes complete, or pieces of a very long one. */
  read(piece: Buffer): Buffer[] {
    const text: Buffer[] = []
    const bytes = this.#undecided.length ? Buffer.concat([this.#undecided, piece]) : piece
    this.#undecided = Buffer.alloc(0)
    for (let at = 0; at < bytes.length; ) {
      if (this.#isEntryStart) {
        const head = this.#readStamp(bytes, at)
        if (head === undefined) {
          this.#undecided = Buffer.from(bytes.subarray(at))
          break
        }
        at += head
        if (at === bytes.length) break
      }
      const found = bytes.indexOf(newline, at)
      const end = Math.min(found === -1 ? bytes.length : found + 1, at + entryBytes - this.#entrySize)
      const isLineEnd = bytes[end - 1] === newline
      this.#add(bytes.subarray(at, end))
      this.#entrySize += end - at
      this.#isLineStart = isLineEnd
      this.#isEntryStart = isLineEnd || this.#entrySize === entryBytes
      if (isLineEnd && this.#lineStamp > this.#last) this.#last = this.#lineStamp
      if (isLineEnd || this.#halfBytes >= longestLineBytes) this.#flush(text)
      at = end
    }
    // What is kept beyond this call must not hold the caller's larger buffer.
    this.#half = this.#half.map(one => Buffer.from(one))
    return text
  }

  /** What is left when the output ended without a newline. */
  end(): Buffer[] {
    const text: Buffer[] = []
    if (this.#undecided.length) this.#add(this.#undecided)
    this.#undecided = Buffer.alloc(0)
    if (this.half > this.#last) this.#last = this.half
    this.#isLineStart = true
    this.#flush(text)
    return text
  }

  /** Length of the time at the head of an entry, 0 when there is none, undefined when more bytes have to tell. */
  #readStamp(bytes: Buffer, at: number): number | undefined {
    const head = bytes.toString('latin1', at, at + longestStampBytes)
    const [all = '', time = ''] = stamp.exec(head) ?? []
    if (!all && head.length < longestStampBytes && maybeStamp.test(head)) return undefined
    if (this.#isLineStart) {
      this.#lineStamp = time
      if (this.#keepStamps) this.#add(bytes.subarray(at, at + all.length))
    }
    this.#isLineStart = false
    this.#isEntryStart = false
    this.#entrySize = 0
    return all.length
  }

  #add(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#half.push(bytes)
    this.#halfBytes += bytes.length
  }

  #flush(text: Buffer[]): void {
    text.push(...this.#half)
    this.#half = []
    this.#halfBytes = 0
  }
}
