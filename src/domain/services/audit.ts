import type {InputOf} from '../../contract/contract.ts'
import type {AuditRow} from '../../contract/schemas/audit.ts'
import {problem} from '../errors.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'

/** Rows that one question looks through, newest first. */
const mostRows = 20_000

export function auditMethods({store}: ServiceDependencies): Services['audit'] {
  return {list: input => list(input, store)}
}

async function list(
  {actor, action, object, since, limit = 100}: InputOf<'audit.list'>,
  store: ServiceDependencies['store'],
): Promise<AuditRow[]> {
  const sinceMs = since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(since)
  if (Number.isNaN(sinceMs))
    throw problem('input_invalid', {field: 'since', problem: `${since} is not a time.`, fix: 'Give RFC 3339.'})
  const rows = await store.audit.list(mostRows)
  const wanted = rows.filter(
    row =>
      (actor === undefined || row.actor === actor) &&
      (action === undefined || row.action.startsWith(action)) &&
      (object === undefined || row.object === object) &&
      Date.parse(row.at) >= sinceMs,
  )
  return wanted.slice(0, limit).reverse()
}
