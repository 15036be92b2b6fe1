import {usageError} from '../failure.ts'
import type {Column} from './column.ts'
import {findField, wordOf} from './field.ts'
import {readWhere} from './where.ts'

/** What of a list is wanted, in which order. */
export interface Shape {
  where: string[]
  /** `KEY`, `!KEY`, `KEY=VALUE` or `KEY!=VALUE` of the labels. */
  selector: string[]
  /** Names, `-` before one for the reverse. */
  sort: string[]
  limit: number | undefined
}

/** The rows that are wanted, in the order wanted. Usage error for names that the rows do not have. */
export function shapeRows<T extends object>(
  found: readonly T[],
  columns: readonly Column<T>[],
  {where, selector, sort, limit}: Shape,
): T[] {
  const isWanted = readWhere(where, columns, found)
  const carries = readSelector(selector)
  const rows = found.filter(row => isWanted(row) && carries(row))
  return sortRows(rows, sort, columns).slice(0, limit)
}

function sortRows<T extends object>(rows: T[], sort: readonly string[], columns: readonly Column<T>[]): T[] {
  const orders = sort.map(word => {
    const isReverse = word.startsWith('-')
    const {values} = findField(word.replace(/^[-+]/, ''), columns, rows)
    return (a: T, b: T) => byValue(values(a)[0], values(b)[0]) * (isReverse ? -1 : 1)
  })
  if (orders.length === 0) return rows
  return rows.sort((a, b) => orders.reduce((found, order) => found || order(a, b), 0))
}

/** Numbers by size, texts as people sort them (`gpu-2` before `gpu-10`), nothing last. */
function byValue(a: unknown, b: unknown): number {
  const isNothing = (value: unknown) => value === null || value === undefined || value === ''
  if (isNothing(a) || isNothing(b)) return Number(isNothing(a)) - Number(isNothing(b))
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return String(a).localeCompare(String(b), undefined, {numeric: true})
}

function readSelector(terms: readonly string[]): (row: object) => boolean {
  const tests = terms.map(term => {
    const match = /^(!?)([A-Za-z0-9][A-Za-z0-9./_-]*)(?:(!=|==?)(.*))?$/.exec(term)
    const [, negation = '', key = '', operator, wanted = ''] = match ?? []
    if (!match || (negation && operator)) {
      throw usageError(`--selector: ${term} is no selector.`, 'Write KEY=VALUE, KEY!=VALUE, KEY or !KEY.')
    }
    return (labels: Record<string, string>) => {
      if (operator === undefined) return Object.hasOwn(labels, key) !== (negation === '!')
      return (labels[key] === wanted) === (operator !== '!=')
    }
  })
  return row => {
    if (tests.length === 0) return true
    const {labels = {}} = row as {labels?: Record<string, string>}
    return tests.every(test => test(labels))
  }
}

/** The columns asked for by name, in that order; without any, the usual ones. Usage error for one that there is not. */
export function chooseColumns<C extends {name: string}>(columns: readonly C[], wanted: readonly string[]): C[] {
  return wanted.map(word => {
    const found = columns.find(({name}) => wordOf(name) === wordOf(word))
    if (found) return found
    throw usageError(`There is no column ${word}.`, `There are ${columns.map(({name}) => wordOf(name)).join(', ')}.`)
  })
}
