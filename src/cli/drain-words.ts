import type {DrainedWork} from '../contract/schemas/drains.ts'
import type {Node} from '../contract/schemas/nodes.ts'

/** How far a drain is, in a line. */
export function drainWords(drain: Node['drain']): string {
  if (drain === null) return ''
  const {state, by, startedAt, endedAt, deadlineAt, force, left} = drain
  if (state === 'drained') return `drained at ${endedAt}`
  if (state === 'unfinished') return `unfinished at ${endedAt}: ${left} still there`
  const until = deadlineAt === null ? '' : force ? `, the rest is ended at ${deadlineAt}` : `, until ${deadlineAt}`
  return `since ${startedAt} by ${by}: ${left} left${until}`
}

/** What becomes of the work, as `train and 2 of others go back to the queue`; '' when there is none. */
export function fatesInWords(work: readonly DrainedWork[], {atDeadline}: {atDeadline: boolean}): string {
  const words: Record<DrainedWork['fate'], [one: string, several: string]> = {
    moves: ['goes back to the queue', 'go back to the queue'],
    finishes: ['may finish', 'may finish'],
    stopped: ['is stopped and stays', 'are stopped and stay'],
    ends: atDeadline
      ? ['is ended unless it finishes in time', 'are ended unless they finish in time']
      : ['is ended, its run is lost', 'are ended, their runs are lost'],
  }
  return Object.entries(words)
    .flatMap(([fate, [one, several]]) => {
      const found = work.filter(each => each.fate === fate)
      return found.length === 0 ? [] : [`${names(found)} ${found.length === 1 ? one : several}`]
    })
    .join('; ')
}

function names(work: readonly DrainedWork[]): string {
  const own = work.flatMap(({claim}) => claim ?? [])
  const shown = own.slice(0, 10)
  const others = work.length - shown.length
  const rest = others === 0 ? [] : [shown.length === 0 ? `${others} of other users` : `${others} more`]
  return [...shown, ...rest].join(', ')
}
