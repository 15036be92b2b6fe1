import {usageError} from '../failure.ts'
import {readDuration} from '../units.ts'
import type {Column, Unit} from './column.ts'
import {findField} from './field.ts'

/** As the pattern of readCondition has them. */
const operators = ['>=', '<=', '!=', '!~', '==', '=', '~', '>', '<'] as const
type Operator = (typeof operators)[number]

interface Condition {
  name: string
  operator: Operator | 'is' | 'is not'
  wanted: string
}

const bytesOf: Record<Unit, number> = {bytes: 1, MiB: 2 ** 20, GiB: 2 ** 30}
const powerOf: Record<string, number> = {k: 1, m: 2, g: 3, t: 4}

/**
 * Which rows are meant by `memory>=24GB`, `status!=online`, `name~^gpu`, `age>2h`, `listed` or `!listed`. All texts and all
 * parts between `&&` must hold. Usage error for what cannot be read and for names that the rows do not have.
 */
export function readWhere<T extends object>(
  texts: readonly string[],
  columns: readonly Column<T>[],
  rows: readonly T[],
): (row: T) => boolean {
  const tests = texts
    .flatMap(text => text.split('&&'))
    .map(text => {
      const condition = readCondition(text)
      const {values, unit} = findField(condition.name, columns, rows)
      const holds = testOf(condition, unit)
      const isNegative = condition.operator === '!=' || condition.operator === '!~' || condition.operator === 'is not'
      return (row: T) => {
        const found = values(row).flat()
        return isNegative ? !found.some(holds) : found.some(holds)
      }
    })
  return row => tests.every(test => test(row))
}

function readCondition(text: string): Condition {
  const [, compared, operator, wanted = ''] =
    /^\s*([^=!<>~]+?)\s*(>=|<=|!=|!~|==|=|~|>|<)\s*(.*?)\s*$/s.exec(text) ?? []
  if (compared !== undefined) {
    return {name: compared, operator: operator as Operator, wanted: wanted.replace(/^(["'])(.*)\1$/s, '$2')}
  }
  const [, negation, name] = /^\s*(!?)\s*([^=!<>~]+?)\s*$/s.exec(text) ?? []
  if (name !== undefined) return {name, operator: negation ? 'is not' : 'is', wanted: ''}
  throw usageError(`--where: ${text} is no condition.`, `Write NAME, !NAME or NAME ${operators.join(' ')} VALUE.`)
}

/** The test of one value; of a negative operator its opposite. */
function testOf({operator, wanted, name}: Condition, unit: Unit | undefined): (value: unknown) => boolean {
  if (operator === 'is' || operator === 'is not') return isSomething
  if (operator === '~' || operator === '!~') {
    const pattern = readPattern(wanted)
    return value => pattern.test(textOf(value))
  }
  if (operator === '=' || operator === '==' || operator === '!=') {
    return value =>
      textOf(value).toLowerCase() === wanted.toLowerCase() ||
      (typeof value === 'number' && value === amount(wanted, unit))
  }
  if (wanted === '') throw usageError(`--where: ${name} ${operator} what?`, `Write a value: ${name}${operator}1.`)
  return value => {
    const order = compare(value, wanted, unit, name)
    if (order === undefined) return false
    if (operator === '>') return order > 0
    if (operator === '<') return order < 0
    return operator === '>=' ? order >= 0 : order <= 0
  }
}

function isSomething(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== false && value !== 0
}

function textOf(value: unknown): string {
  return value === undefined || value === null ? '' : String(value)
}

/** Below, at or above what was asked; undefined where the two cannot be compared. */
function compare(value: unknown, wanted: string, unit: Unit | undefined, name: string): number | undefined {
  if (value === null || value === undefined || value === '') return undefined
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) return compareTime(Date.parse(value), wanted, name)
  const asked = amount(wanted, unit)
  const found = typeof value === 'number' ? value : Number.parseFloat(textOf(value))
  if (asked !== undefined && !Number.isNaN(found)) return found - asked
  if (typeof value !== 'string' || asked !== undefined) return undefined
  return value.localeCompare(wanted)
}

/** `age>2h`: longer ago than that. `created>2026-01-31`: after that day began. */
function compareTime(at: number, wanted: string, name: string): number {
  const date = /^\d{4}-\d\d-\d\d/.test(wanted) ? Date.parse(wanted) : Number.NaN
  if (!Number.isNaN(date)) return at - date
  const sinceMs = readDuration(wanted, `--where ${name}`)
  return Date.now() - at - sinceMs
}

/**
 * A number in the unit of the values. `24GB` counts in thousands and `24GiB` in 1024s: a card that is sold with 24 GB
 * reports a little less than 24 GiB, and must be found.
 */
function amount(wanted: string, unit: Unit | undefined): number | undefined {
  const [, digits, letter = '', rest = ''] = /^(-?\d+(?:\.\d+)?)\s*([kmgt]?)(i?b|i|%)?$/i.exec(wanted) ?? []
  if (digits === undefined) return undefined
  const power = powerOf[letter.toLowerCase()] ?? 0
  if (power === 0 && !/b/i.test(rest)) return Number(digits)
  return (Number(digits) * (/i/i.test(rest) ? 1024 : 1000) ** power) / (unit ? bytesOf[unit] : 1)
}

function readPattern(text: string): RegExp {
  try {
    return new RegExp(text, 'iu')
  } catch (error) {
    throw usageError(`--where: ${text} is no pattern: ${(error as Error).message}`)
  }
}
