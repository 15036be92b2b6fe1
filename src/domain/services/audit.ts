import type {InputOf} from '../../contract/contract.ts'
import type {AuditCheck, AuditRow} from '../../contract/schemas/audit.ts'
import {problem} from '../errors.ts'
import {readSetting} from '../server-settings.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'

/** Rows that one question looks through, newest first. */
const mostRows = 20_000
/** Rows of one page of the check: about 20 ms of work. */
const rowsChecked = 2_000
const rowsRemoved = 5_000
const dayMs = 86_400_000

export function auditMethods({store}: ServiceDependencies): Services['audit'] {
  return {list: input => list(input, store), verify: input => verify(input, store)}
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

async function verify(
  {after, hash, limit = rowsChecked}: InputOf<'audit.verify'>,
  store: ServiceDependencies['store'],
): Promise<AuditCheck> {
  if ((after === undefined) !== (hash === undefined))
    throw problem('input_invalid', {
      field: after === undefined ? 'after' : 'hash',
      problem: 'is missing: after and hash belong together.',
      fix: 'Give both as an earlier check answered them, or neither.',
    })
  return store.audit.verify({after: after === undefined ? undefined : {number: after, hash: hash ?? ''}, limit})
}

/** Removes what is older than the setting `audit.keep`, a few thousand rows a time, and writes that down as well. */
export async function pruneAudit({store, journal, clock, server}: ServiceDependencies): Promise<void> {
  const {value} = await readSetting('audit.keep', {settings: store.settings, server})
  if (value === 'forever') return
  const before = new Date(clock.now() - Number.parseInt(value, 10) * dayMs).toISOString()
  await journal.change(async (tx, record) => {
    const rows = await tx.audit.prune(before, rowsRemoved)
    if (rows === 0) return
    await record.audit({username: 'system', requestId: 'maintenance'}, 'audit.prune', server.id, {rows, before})
  })
}
