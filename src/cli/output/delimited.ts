import {type Column, cellText} from './column.ts'
import {safe} from './safe.ts'

/** Tab-separated, one row a line, no header, nothing cut: what a pipe gets (as gh does). */
export function encodeTsv<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  return rows.map(row => `${columns.map(({value}) => safe(cellText(value(row)))).join('\t')}\n`).join('')
}

/** RFC 4180 with a header and all columns. */
export function encodeCsv<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const lines = [columns.map(({name}) => name), ...rows.map(row => columns.map(({value}) => cellText(value(row))))]
  return lines.map(line => `${line.map(quote).join(',')}\r\n`).join('')
}

function quote(text: string): string {
  const clean = safe(text, {keepNewlines: true})
  return /[",\r\n]/.test(clean) ? `"${clean.replaceAll('"', '""')}"` : clean
}
