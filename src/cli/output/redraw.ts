import {stripVTControlCharacters} from 'node:util'
import {cutTo} from './table.ts'

interface Terminal {
  write: (text: string) => unknown
  rows?: number
  columns?: number
}

/** A piece of text on a terminal that is drawn over again and again, where it stands. */
export class Redraw {
  readonly #terminal: Terminal
  #rows = 0
  #columns = 0

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** Only what fits on the screen; the frame before goes in the same write, so that nothing flickers. */
  async draw(text: string): Promise<void> {
    const {default: stringWidth} = await import('string-width')
    const {rows = 24, columns = 80} = this.#terminal
    const lines = text
      .replace(/\n$/, '')
      .split('\n')
      .map(line => (stringWidth(line) > columns ? cutTo(stripVTControlCharacters(line), columns, stringWidth) : line))
    const most = Math.max(1, rows - 1)
    const left = lines.length - most
    const shown = left > 0 ? [...lines.slice(0, most - 1), `… ${left + 1} more`] : lines
    const isResized = this.#columns !== 0 && this.#columns !== columns
    const start = isResized ? '\x1b[2J\x1b[H' : this.#rows > 0 ? `\x1b[${this.#rows}A\r` : ''
    this.#terminal.write(`\x1b[?2026h${start}${shown.map(line => `${line}\x1b[K\n`).join('')}\x1b[J\x1b[?2026l`)
    this.#rows = shown.length
    this.#columns = columns
  }
}
