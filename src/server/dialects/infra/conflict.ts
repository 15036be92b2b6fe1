import {problem} from '../../../domain/errors.ts'

/** An id of the path that is not what the body says is refused, and nothing done (wire.md 2.5, items 1 to 3). */
export function checkAgrees(param: string, id: string, {member, allowed}: {member: string; allowed: string[]}): void {
  if (allowed.includes(id)) return
  const fix = `Give the same in the path and in ${member}: ${allowed[0]}.`
  const flaw = problem('input_invalid', {field: param, problem: `is not that of ${member}`, fix})
  flaw.details.place = 'path'
  throw flaw
}
