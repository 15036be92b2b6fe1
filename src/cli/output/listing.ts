import type {OutputMode} from '../global-flags.ts'
import {isTerminal, columns as terminalColumns, wantsColour} from '../terminal.ts'
import {type Column, cellText} from './column.ts'
import {encodeCsv, encodeMarkdown, encodeTsv} from './delimited.ts'
import {safe} from './safe.ts'

/** One line of a single thing; '' and null are left out for people. */
export type Line = [label: string, value: string | number | null]

/** Rows as text for people and for scripts that cut at tabs; undefined: for a person, and there are none. */
export async function encodeList<T extends object>(
  rows: T[],
  columns: Column<T>[],
  mode: OutputMode,
): Promise<string | undefined> {
  const {format, quiet, header} = mode
  const stdout = process.stdout
  if (quiet) return rows.map(row => `${safe(idOf(row))}\n`).join('')
  if (format === 'name') return rows.map(row => `${safe(nameOf(row))}\n`).join('')
  const isChosen = mode.columns.length > 0
  const all = isChosen ? (await import('./shape.ts')).chooseColumns(columns, mode.columns) : columns
  if (format === 'csv') return encodeCsv(rows, all, {header})
  const usual = isChosen ? all : columns.filter(({wide}) => !wide)
  if (format === 'md') return encodeMarkdown(rows, usual, {header})
  if (format === 'tsv' || (format === undefined && !isTerminal(stdout))) return encodeTsv(rows, usual)
  if (rows.length === 0) return undefined
  const isWide = format === 'wide'
  const {encodeTable} = await import('./table.ts')
  const width = isWide || !mode.cut || !isTerminal(stdout) ? undefined : terminalColumns()
  const colour = wantsColour(stdout, mode.colour)
  return encodeTable(rows, isWide ? all : usual, {width, colour, header})
}

/** One thing as label and value, line by line; as a list of one for csv, tsv, name and -q; with a tab between in a pipe. */
export async function encodeObject(object: object, lines: Line[], mode: OutputMode): Promise<string> {
  const {format, quiet} = mode
  if (quiet || format === 'csv' || format === 'tsv' || format === 'name') {
    const columns = lines.map(([name, value]): Column<object> => ({name: name.toLowerCase(), value: () => value}))
    return (await encodeList([object], columns, mode)) ?? ''
  }
  const chosen = (await chooseLines(lines, mode.columns)).filter(([, value]) => value !== '' && value !== null)
  if (format === 'md') {
    const columns: Column<Line>[] = [
      {name: 'field', value: ([label]) => label},
      {name: 'value', value: ([, value]) => value},
    ]
    return encodeMarkdown(chosen, columns, mode)
  }
  if (format === undefined && !isTerminal(process.stdout)) {
    return chosen.map(([label, value]) => `${label}\t${safe(cellText(value))}\n`).join('')
  }
  const widest = Math.max(...chosen.map(([label]) => label.length))
  return chosen.map(([label, value]) => `${label.padEnd(widest)}  ${safe(cellText(value))}\n`).join('')
}

async function chooseLines(lines: Line[], wanted: readonly string[]): Promise<Line[]> {
  if (wanted.length === 0) return lines
  const {chooseColumns} = await import('./shape.ts')
  const named = lines.map(line => ({name: line[0], line}))
  return chooseColumns(named, wanted).map(({line}) => line)
}

function idOf(row: object): string {
  const {id, number} = row as {id?: string; number?: number}
  return id ?? String(number ?? nameOf(row))
}

function nameOf(row: object): string {
  const {name, username, uuid, number} = row as {name?: string; username?: string; uuid?: string; number?: number}
  return name ?? username ?? uuid ?? String(number ?? '')
}
