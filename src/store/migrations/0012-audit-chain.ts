import {beginning, hashOf, rowFrom} from '../audit-chain.ts'
import type {Sql} from '../sql.ts'
import type {Migration} from './migration.ts'

const rowsAtOnce = 1000

/** Rows of the audit are chained by hashes, those that are there already in the order in which they stand. */
export const auditChain: Migration = {
  version: 12,
  name: 'audit chain',
  statements: ({text, integer}) => [
    `ALTER TABLE audit ADD COLUMN prev_hash ${text} NOT NULL DEFAULT ''`,
    `ALTER TABLE audit ADD COLUMN hash ${text} NOT NULL DEFAULT ''`,
    `CREATE TABLE audit_head (number ${integer} NOT NULL, hash ${text} NOT NULL,
      kept_number ${integer} NOT NULL, kept_hash ${text} NOT NULL)`,
  ],
  fill: chain,
}

async function chain(sql: Sql): Promise<void> {
  let last = beginning
  for (let read = 0; ; ) {
    const rows = await sql.all(
      `SELECT number, prev_hash, hash, at, actor, action, object, request_id, details FROM audit WHERE number > ?
       ORDER BY number LIMIT ${rowsAtOnce}`,
      [read],
    )
    for (const found of rows) {
      // PostgreSQL left gaps where a transaction was rolled back; from now on a gap is a row that somebody removed.
      const row = {...rowFrom(found), number: last.number + 1, prevHash: last.hash}
      last = {number: row.number, hash: hashOf(row)}
      await sql.run('UPDATE audit SET number = ?, prev_hash = ?, hash = ? WHERE number = ?', [
        ...[row.number, row.prevHash, last.hash, found.number!],
      ])
      read = found.number as number
    }
    if (rows.length < rowsAtOnce) break
  }
  await sql.run('INSERT INTO audit_head (number, hash, kept_number, kept_hash) VALUES (?, ?, ?, ?)', [
    ...[last.number, last.hash, beginning.number, beginning.hash],
  ])
}
