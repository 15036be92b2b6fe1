import type {AuditCheck, AuditEntry, AuditTable, KeptEntry} from '../domain/ports.ts'
import {type ChainedRow, type ChainFault, hashOf, type Link, rowFrom, storable, walk} from './audit-chain.ts'
import type {Sql} from './sql.ts'

const columns = 'number, prev_hash, hash, at, actor, action, object, request_id, details'

/** Where the chain ends, and behind which row it begins: what is older was removed because its time was over. */
interface Ends {
  head: Link
  kept: Link
}

/**
 * Rows of the audit hang together: each carries the hash of the one before it, and `audit_head` names the last. Nothing
 * here changes a row. Where several write at once, the head is locked until COMMIT, so it has to be the last thing that
 * a transaction locks.
 */
export function auditTable(sql: Sql): AuditTable {
  return {
    append: entries => sql.together(own => append(own, entries)),
    /** Newest first. */
    async list(limit) {
      const rows = await sql.all(`SELECT ${columns} FROM audit ORDER BY number DESC LIMIT ?`, [limit])
      return rows.map(rowFrom).map(entryFrom)
    },
    async verify(page) {
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

async function append(sql: Sql, entries: readonly AuditEntry[]): Promise<void> {
  const {head} = await endsOf(sql, sql.words.forUpdate)
  let last = head
  for (const entry of entries) {
    const row = {
      number: last.number + 1,
      prevHash: last.hash,
      at: storable(entry.at),
      actor: storable(entry.actor),
      action: storable(entry.action),
      object: storable(entry.object),
      requestId: storable(entry.requestId),
      details: JSON.stringify(entry.details),
    }
    last = {number: row.number, hash: hashOf(row)}
    await sql.run(`INSERT INTO audit (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, [
      ...[row.number, row.prevHash, last.hash, row.at, row.actor, row.action, row.object, row.requestId, row.details],
    ])
  }
  await sql.run('UPDATE audit_head SET number = ?, hash = ?', [last.number, last.hash])
}

/** `forUpdate` as the dialect words it: nobody else appends until the transaction ends. */
async function endsOf(sql: Sql, forUpdate = ''): Promise<Ends> {
  const row = await sql.get(`SELECT number, hash, kept_number, kept_hash FROM audit_head${forUpdate}`)
  if (!row) throw new Error('The audit has lost its head: the row of the table audit_head is gone.')
  return {
    head: {number: row.number as number, hash: row.hash as string},
    kept: {number: row.kept_number as number, hash: row.kept_hash as string},
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
