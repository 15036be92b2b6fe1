import type {AuditEntry} from '../domain/ports.ts'
import {type ChainedRow, type Content, contentFrom, hashOf, type Link, storable} from './audit-chain.ts'
import type {Sql} from './sql.ts'

export const columns = 'number, prev_hash, hash, at, actor, action, object, request_id, details'
const contents = 'at, actor, action, object, request_id, details'
const sealedAtOnce = 500

/** Where the chain ends, and behind which row it begins: what is older was removed because its time was over. */
export interface Ends {
  head: Link
  kept: Link
}

/** In the transaction of what the rows tell of: chained at once, or left to be. */
export async function append(sql: Sql, entries: readonly AuditEntry[]): Promise<void> {
  const rows = entries.map(contentOf)
  if (!sql.words.chainsLater) {
    const {head} = await endsOf(sql)
    const chained = chain(head, rows)
    for (const row of chained)
      await sql.run(`INSERT INTO audit (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, [
        ...[row.number, row.prevHash, row.hash, ...valuesOf(row)],
      ])
    return moveHead(sql, chained)
  }
  for (const row of rows)
    await sql.run(`INSERT INTO audit_waiting (${contents}) VALUES (?, ?, ?, ?, ?, ?)`, valuesOf(row))
}

/**
 * Chains the rows that committed transactions left in `audit_waiting`, up to 500 in one transaction. Several servers may do so
 * at once: the lock on the head lets one after the other in. PostgreSQL's own words, for no other store leaves any.
 */
export async function sealWaiting(sql: Sql): Promise<void> {
  while ((await sql.together(sealSome)) === sealedAtOnce);
}

async function sealSome(sql: Sql): Promise<number> {
  // Before the head is locked: mostly there is nothing.
  if (!(await sql.get('SELECT number FROM audit_waiting LIMIT 1'))) return 0
  const {head} = await endsOf(sql, sql.words.forUpdate)
  const found = await sql.all(`SELECT number, ${contents} FROM audit_waiting ORDER BY number LIMIT ${sealedAtOnce}`)
  if (found.length === 0) return 0
  const chained = chain(head, found.map(contentFrom))
  await sql.run(
    `INSERT INTO audit (${columns})
     SELECT ${columns} FROM json_to_recordset(?::json) AS row (number bigint, prev_hash text, hash text, at text,
       actor text, action text, object text, request_id text, details text)`,
    [
      JSON.stringify(
        chained.map(({prevHash, requestId, ...row}) => ({...row, prev_hash: prevHash, request_id: requestId})),
      ),
    ],
  )
  // These alone: a lower number may be committed meanwhile.
  await sql.run(
    'DELETE FROM audit_waiting WHERE number IN (SELECT value::bigint FROM json_array_elements_text(?::json) AS one (value))',
    [JSON.stringify(found.map(({number}) => number))],
  )
  await moveHead(sql, chained)
  return found.length
}

function chain(head: Link, rows: readonly Content[]): ChainedRow[] {
  let last = head
  return rows.map(row => {
    const linked = {...row, number: last.number + 1, prevHash: last.hash}
    last = {number: linked.number, hash: hashOf(linked)}
    return {...linked, hash: last.hash}
  })
}

async function moveHead(sql: Sql, chained: readonly ChainedRow[]): Promise<void> {
  const last = chained.at(-1)
  if (last) await sql.run('UPDATE audit_head SET number = ?, hash = ?', [last.number, last.hash])
}

/** `forUpdate` as the dialect words it: nobody else chains until the transaction ends. */
export async function endsOf(sql: Sql, forUpdate = ''): Promise<Ends> {
  const row = await sql.get(`SELECT number, hash, kept_number, kept_hash FROM audit_head${forUpdate}`)
  if (!row) throw new Error('The audit has lost its head: the row of the table audit_head is gone.')
  return {
    head: {number: row.number as number, hash: row.hash as string},
    kept: {number: row.kept_number as number, hash: row.kept_hash as string},
  }
}

function contentOf({at, actor, action, object, requestId, details}: AuditEntry): Content {
  return {
    at: storable(at),
    actor: storable(actor),
    action: storable(action),
    object: storable(object),
    requestId: storable(requestId),
    details: JSON.stringify(details),
  }
}

function valuesOf({at, actor, action, object, requestId, details}: Content): string[] {
  return [at, actor, action, object, requestId, details]
}
