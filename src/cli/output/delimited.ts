import {type Column, cellText} from './column.ts'
import {safe} from './safe.ts'

/** Tab-separated, one row a line, no header, nothing cut: what a pipe gets (as gh does). */
export function encodeTsv<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  return rows.map(row => `${columns.map(({value}) => safe(cellText(value(row)))).join('\t')}\n`).join('')
}

/** RFC 4180, with all columns. */
export function encodeCsv<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  {header = true}: {header?: boolean} = {},
): string {
  const lines = rows.map(row => columns.map(({value}) => cellText(value(row))))
  if (header) lines.unshift(columns.map(({name}) => name))
  return lines.map(line => `${line.map(quote).join(',')}\r\n`).join('')
}

/** A table of Markdown, values as scripts get them. */
export function encodeMarkdown<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  {header = true}: {header?: boolean} = {},
): string {
  const lines = rows.map(row => columns.map(({value}) => inCell(cellText(value(row)))))
  if (header)
    lines.unshift(
      columns.map(({name}) => inCell(name)),
      columns.map(() => '---'),
    )
  return lines.map(line => `| ${line.join(' | ')} |\n`).join('')
}

/** Nothing in it ends the cell, or is read as a tag, a link or an emphasis. */
function inCell(text: string): string {
  return safe(text).replace(/[\\`*_[\]<>|]/g, character => `\\${character}`)
}

function quote(text: string): string {
  const clean = safe(text, {keepNewlines: true})
  return /[",\r\n]/.test(clean) ? `"${clean.replaceAll('"', '""')}"` : clean
}
