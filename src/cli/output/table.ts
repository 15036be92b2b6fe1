import {type Column, cellText} from './column.ts'
import {loadPaint} from './paint.ts'
import {safe} from './safe.ts'
import {paintWord} from './state-paint.ts'

/** Beyond so many rows cli-table3 is slow (300 ms for a thousand); then the columns are written by hand. */
const rowsForTheLibrary = 200
const gap = 2
const narrowest = 6
const stateColumns = new Set(['status', 'phase', 'state'])

export interface TableOptions {
  /** Cells of a line; undefined = never cut. */
  width?: number
  colour: boolean
  header?: boolean
}

/** A table for people: header in capitals, no lines, the widest columns cut when the terminal is too narrow. */
export async function encodeTable<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  {width, colour, header = true}: TableOptions,
): Promise<string> {
  const {default: stringWidth} = await import('string-width')
  const paint = await loadPaint(colour)
  const heads = columns.map(({name}) => name.toUpperCase())
  const cells = rows.map(row =>
    columns.map(({value, shown}) => safe((shown ?? (one => cellText(value(one))))(row)) || '-'),
  )
  const natural = heads.map((head, at) =>
    cells.reduce((most, line) => Math.max(most, stringWidth(line[at] ?? '')), stringWidth(head)),
  )
  const widths = narrow(natural, width)
  const cut = cells.map(line => line.map((cell, at) => cutTo(cell, widths[at] ?? 0, stringWidth)))
  const styled = (line: string[]) =>
    line.map((cell, at) => (stateColumns.has(columns[at]?.name ?? '') ? paintWord(cell, paint) : cell))
  if (rows.length <= rowsForTheLibrary && header)
    return drawWithLibrary(
      heads.map(head => paint.faint(head)),
      cut.map(styled),
      widths,
    )
  const pad = (line: string[], from: string[]) =>
    line
      .map((cell, at) =>
        at === line.length - 1
          ? cell
          : cell + ' '.repeat(Math.max(0, (widths[at] ?? 0) - stringWidth(from[at] ?? '')) + gap),
      )
      .join('')
      .trimEnd()
  const head = pad(
    heads.map(one => paint.faint(one)),
    heads,
  )
  return `${[...(header ? [head] : []), ...cut.map(line => pad(styled(line), line))].join('\n')}\n`
}

async function drawWithLibrary(heads: string[], rows: string[][], widths: number[]): Promise<string> {
  const {default: Table} = await import('cli-table3')
  const none = Object.fromEntries(
    'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid'
      .split(' ')
      .map(part => [part, '']),
  )
  const table = new Table({
    head: heads,
    chars: {...none, middle: ' '.repeat(gap)},
    style: {head: [], border: [], 'padding-left': 0, 'padding-right': 0},
    colWidths: widths,
    wordWrap: false,
  })
  table.push(...rows)
  return `${table
    .toString()
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n')}\n`
}

/** Takes from the widest columns until all fit. */
export function narrow(natural: readonly number[], width: number | undefined): number[] {
  const widths = [...natural]
  if (width === undefined) return widths
  const room = width - gap * (widths.length - 1)
  for (let total = sum(widths); total > room; total = sum(widths)) {
    const widest = widths.indexOf(Math.max(...widths))
    if ((widths[widest] ?? 0) <= narrowest) break
    const second = Math.max(narrowest, ...widths.filter((_, at) => at !== widest))
    const now = widths[widest] ?? 0
    widths[widest] = Math.max(narrowest, Math.min(now - 1, Math.max(second, now - (total - room))))
  }
  return widths
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

/** At most so many cells, ending in `…` where something is left out. */
export function cutTo(text: string, width: number, widthOf: (text: string) => number): string {
  if (widthOf(text) <= width) return text
  let shown = ''
  let used = 0
  for (const {segment} of new Intl.Segmenter(undefined, {granularity: 'grapheme'}).segment(text)) {
    const cells = widthOf(segment)
    if (used + cells > width - 1) break
    shown += segment
    used += cells
  }
  return `${shown}…`
}
