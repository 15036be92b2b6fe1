import {writeSync} from 'node:fs'
import type {ReadStream, WriteStream} from 'node:tty'

const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J\x1b[H'
const leave = '\x1b[?7h\x1b[?25h\x1b[?1049l'
/** A terminal that knows them shows what stands between at once; others leave them out. */
const beginUpdate = '\x1b[?2026h'
const endUpdate = '\x1b[?2026l'

export interface FullScreenParts {
  input: ReadStream
  output: WriteStream
  onKeys: (input: string) => void
  onResize: () => void
}

/**
 * The terminal's alternate screen, drawn line by line: only lines that have changed are sent, in one write a frame. However
 * the program ends (a signal, a throw), the terminal gets its own screen, its cursor and its line editing back.
 */
export class FullScreen {
  readonly #parts: FullScreenParts
  #lines: string[] = []
  #isOpen = false
  readonly #restore = () => this.close()
  readonly #read = (piece: Buffer) => this.#parts.onKeys(piece.toString('utf8'))
  readonly #resized = () => {
    this.#lines = []
    if (this.#isOpen) this.#parts.output.write('\x1b[2J')
    this.#parts.onResize()
  }

  constructor(parts: FullScreenParts) {
    this.#parts = parts
  }

  get size(): {columns: number; rows: number} {
    const {columns, rows} = this.#parts.output
    return {columns: columns || 80, rows: rows || 24}
  }

  open(): void {
    const {input, output} = this.#parts
    if (this.#isOpen) return
    this.#isOpen = true
    this.#lines = []
    process.on('exit', this.#restore)
    process.on('uncaughtExceptionMonitor', this.#restore)
    input.setRawMode(true)
    input.on('data', this.#read)
    input.resume()
    output.on('resize', this.#resized)
    output.write(enter)
  }

  /** Answers the bytes that it sent; 0 where nothing has changed, or the terminal has not read the last frame yet. */
  draw(lines: readonly string[]): number {
    const {output} = this.#parts
    if (!this.#isOpen || output.writableNeedDrain) return 0
    const changed = lines.flatMap((line, row) =>
      line === this.#lines[row] ? [] : [`\x1b[${row + 1};1H\x1b[2K${line}`],
    )
    for (let row = lines.length; row < this.#lines.length; row++) changed.push(`\x1b[${row + 1};1H\x1b[2K`)
    this.#lines = [...lines]
    if (changed.length === 0) return 0
    const frame = beginUpdate + changed.join('') + endUpdate
    output.write(frame)
    return Buffer.byteLength(frame)
  }

  /** May be called twice, and while the process ends. */
  close(): void {
    const {input, output} = this.#parts
    if (!this.#isOpen) return
    this.#isOpen = false
    process.off('exit', this.#restore)
    process.off('uncaughtExceptionMonitor', this.#restore)
    output.off('resize', this.#resized)
    input.off('data', this.#read)
    input.pause()
    try {
      input.setRawMode(false)
      writeSync((output as unknown as {fd: number}).fd, leave)
    } catch {
      // The terminal is gone.
    }
  }
}
