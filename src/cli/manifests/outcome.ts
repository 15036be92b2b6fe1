import type {Column} from '../output/column.ts'
import type {Difference} from './compare.ts'
import {type Step, shown} from './plan.ts'

/** What apply and diff answer to machines, one for each thing. */
export interface Outcome {
  name: string
  action: 'created' | 'configured' | 'unchanged' | 'removed'
  changes: Difference[]
}

const words = {create: 'created', change: 'configured', none: 'unchanged', remove: 'removed'} as const
const signs = {create: '+', change: '~', none: ' ', remove: '-'} as const

export function outcomeOf({name, action, changes}: Step): Outcome {
  return {name, action: words[action], changes: changes.map(({field, from, to}) => ({field, from: from ?? null, to}))}
}

export const outcomeColumns: Column<Outcome>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'action', value: ({action}) => action},
  {name: 'fields', value: ({changes}) => changes.map(({field}) => field).join(',')},
]

/** `~ spec/small`, and a line for each member that changes. */
export function diffLines({name, action, changes}: Step): string[] {
  const lines = changes.map(({field, from, to}) =>
    action === 'create' ? `    ${field}  ${shown(to)}` : `    ${field}  ${shown(from)} → ${shown(to)}`,
  )
  return [`${signs[action]} ${name}`, ...lines]
}
