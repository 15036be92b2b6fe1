import type {OutputMode} from '../global-flags.ts'
import {isTerminal, columns as terminalColumns, wantsColour} from '../terminal.ts'
import {type Column, cellText} from './column.ts'
import {encodeCsv, encodeTsv} from './delimited.ts'
import {safe} from './safe.ts'

/** One line of a single thing; '' and null are left out for people. */
export type Line = [label: string, value: string | number | null]

/** Rows as text for people and for scripts that cut at tabs; undefined: for a person, and there are none. */
export async function encodeList<T extends object>(
  rows: T[],
  columns: Column<T>[],
  {format, quiet, colour}: OutputMode,
): Promise<string | undefined> {
  const stdout = process.stdout
  if (quiet) return rows.map(row => `${safe(idOf(row))}\n`).join('')
  if (format === 'name') return rows.map(row => `${safe(nameOf(row))}\n`).join('')
  if (format === 'csv') return encodeCsv(rows, columns)
  const usual = columns.filter(({wide}) => !wide)
  if (format === 'tsv' || (format === undefined && !isTerminal(stdout))) return encodeTsv(rows, usual)
  if (rows.length === 0) return undefined
  const isWide = format === 'wide'
  const {encodeTable} = await import('./table.ts')
  const width = isWide || !isTerminal(stdout) ? undefined : terminalColumns()
  return encodeTable(rows, isWide ? columns : usual, {width, colour: colour && wantsColour(stdout)})
}

/** One thing as label and value, line by line; as a list of one for csv, tsv, name and -q. */
export async function encodeObject(object: object, lines: Line[], mode: OutputMode): Promise<string> {
  const {format, quiet} = mode
  if (quiet || format === 'csv' || format === 'tsv' || format === 'name') {
    const columns = lines.map(([name, value]): Column<object> => ({name: name.toLowerCase(), value: () => value}))
    return (await encodeList([object], columns, mode)) ?? ''
  }
  const widest = Math.max(...lines.map(([label]) => label.length))
  return lines
    .filter(([, value]) => value !== '' && value !== null)
    .map(([label, value]) => `${label.padEnd(widest)}  ${safe(cellText(value))}\n`)
    .join('')
}

function idOf(row: object): string {
  const {id, number} = row as {id?: string; number?: number}
  return id ?? String(number ?? nameOf(row))
}

function nameOf(row: object): string {
  const {name, username, uuid, number} = row as {name?: string; username?: string; uuid?: string; number?: number}
  return name ?? username ?? uuid ?? String(number ?? '')
}
