import type {AuditCheck, AuditTable, KeptEntry} from '../domain/ports.ts'
import {type ChainedRow, type ChainFault, type Link, rowFrom, walk} from './audit-chain.ts'
import {append, columns, type Ends, endsOf, sealWaiting} from './audit-writing.ts'
import type {Sql} from './sql.ts'

/**
 * Rows of the audit hang together: each carries the hash of the one before it, and `audit_head` names the last. Nothing
 * here changes a row. Where several write at once they leave their rows in `audit_waiting`, in the transaction of their
 * effect, and are chained right after it: to wait for each other's COMMIT would let one in at a time.
 */
export function auditTable(sql: Sql): AuditTable {
  const seal = async () => {
    if (sql.words.chainsLater) await sealWaiting(sql)
  }
  return {
    append: entries => sql.together(own => append(own, entries)),
    /** Newest first. */
    async list(limit) {
      await seal()
      const rows = await sql.all(`SELECT ${columns} FROM audit ORDER BY number DESC LIMIT ?`, [limit])
      return rows.map(rowFrom).map(entryFrom)
    },
    async verify(page) {
      await seal()
      const before = await endsOf(sql)
      const found = await verify(sql, before, page)
      if (!found.fault) return found
      // What was removed since its time was over, or added while we looked, is no fault.
      const after = await endsOf(sql)
      return after.head.number === before.head.number && after.kept.number === before.kept.number
        ? found
        : verify(sql, after, page)
    },
    prune: (before, most) => sql.givingBack().together(own => prune(own, before, most)),
  }
}

async function verify(
  sql: Sql,
  {head, kept}: Ends,
  {after, limit}: {after?: Link; limit: number},
): Promise<AuditCheck> {
  const from = after && after.number >= kept.number ? after : kept
  const answer = (checked: number, at: Link, isDone: boolean, fault?: ChainFault): AuditCheck => ({
    ...{checked, at, head, isDone: isDone || fault !== undefined},
    fault: fault ?? null,
  })
  const fault = await faultAtBeginning(sql, from, {head, kept})
  if (fault) return answer(0, from, true, fault)
  const rows = await sql.all(`SELECT ${columns} FROM audit WHERE number > ? ORDER BY number LIMIT ?`, [
    from.number,
    limit,
  ])
  const known = rows.map(rowFrom)
  const walked = walk(
    from,
    known.filter(({number}) => number <= head.number),
  )
  const checked = walked.at.number - from.number
  if (walked.fault) return answer(checked, walked.at, true, walked.fault)
  if (rows.length === limit && walked.at.number < head.number) return answer(checked, walked.at, false)
  return answer(checked, walked.at, true, faultAtEnd(walked.at, head, known))
}

async function faultAtBeginning(sql: Sql, from: Link, {head, kept}: Ends): Promise<ChainFault | undefined> {
  const older = await sql.get('SELECT number FROM audit WHERE number <= ? ORDER BY number LIMIT 1', [kept.number])
  if (older) return {number: older.number as number, fault: 'added'}
  if (from.number > head.number) return {number: head.number + 1, fault: 'missing'}
  if (from.number === kept.number) return from.hash === kept.hash ? undefined : {number: from.number, fault: 'replaced'}
  const row = await sql.get('SELECT hash FROM audit WHERE number = ?', [from.number])
  if (!row) return {number: from.number, fault: 'missing'}
  return row.hash === from.hash ? undefined : {number: from.number, fault: 'replaced'}
}

function faultAtEnd(at: Link, head: Link, known: readonly ChainedRow[]): ChainFault | undefined {
  if (at.number < head.number) return {number: at.number + 1, fault: 'missing'}
  if (at.hash !== head.hash) return {number: at.number, fault: 'replaced'}
  const beyond = known.find(({number}) => number > head.number)
  return beyond && {number: beyond.number, fault: 'added'}
}

/** Removes from the beginning what is older, `most` rows at a time, and remembers behind which row the chain goes on. */
async function prune(sql: Sql, before: string, most: number): Promise<number> {
  if (sql.words.chainsLater) await sealWaiting(sql)
  const {head, kept} = await endsOf(sql, sql.words.forUpdate)
  const rows = await sql.all('SELECT number, hash, at FROM audit WHERE number > ? ORDER BY number LIMIT ?', [
    kept.number,
    most,
  ])
  const young = rows.findIndex(({at, number}) => (at as string) >= before || number === head.number)
  const last = rows[(young === -1 ? rows.length : young) - 1]
  if (!last) return 0
  await sql.run('UPDATE audit_head SET kept_number = ?, kept_hash = ?', [last.number!, last.hash!])
  return sql.run('DELETE FROM audit WHERE number <= ?', [last.number!])
}

function entryFrom({number, at, actor, action, object, requestId, details}: ChainedRow): KeptEntry {
  return {number, at, actor, action, object, requestId, details: parsed(details)}
}

/** A row that somebody edited may be no JSON any more; the others can still be read. */
function parsed(details: string): Record<string, unknown> {
  try {
    return JSON.parse(details)
  } catch {
    return {unreadable: details}
  }
}
