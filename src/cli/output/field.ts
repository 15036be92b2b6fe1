import {usageError} from '../failure.ts'
import type {Column, Unit} from './column.ts'

/** What a person may call a column or a field by: `last seen`, `last-seen` and `Last_Seen` are one. */
export function wordOf(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[\s_-]+/g, '-')
}

/** The values of a row under one name, and what they count. */
export interface Field<T> {
  values: (row: T) => unknown[]
  unit: Unit | undefined
}

/** A column by its name, or a member of the row as a path (`status.phase`). Usage error when there is neither. */
export function findField<T extends object>(name: string, columns: readonly Column<T>[], rows: readonly T[]): Field<T> {
  const column = columns.find(one => wordOf(one.name) === wordOf(name))
  const path = name.trim().split('.')
  const hasMember = rows.some(row => memberOf(row, path) !== undefined)
  if (!column && !hasMember && rows.length > 0) throw unknownField(name, columns, rows)
  return {
    values: row => [...(column ? [column.value(row)] : []), ...(hasMember ? [memberOf(row, path)] : [])],
    unit: column?.unit ?? unitOf(path.at(-1) ?? ''),
  }
}

function memberOf(row: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string, unknown>)[key]
        : undefined,
    row,
  )
}

function unitOf(key: string): Unit | undefined {
  if (/MiB$/.test(key)) return 'MiB'
  if (/GiB$/.test(key)) return 'GiB'
  return /bytes/i.test(key) ? 'bytes' : undefined
}

function unknownField<T extends object>(name: string, columns: readonly Column<T>[], rows: readonly T[]) {
  const known = columns.map(column => wordOf(column.name))
  const members = Object.keys(rows[0] ?? {}).filter(member => !known.includes(wordOf(member)))
  return usageError(
    `There is no column or field ${name}.`,
    `Columns: ${known.join(', ')}. Other fields: ${members.join(', ')}.`,
  )
}
