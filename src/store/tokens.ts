import type {JoinTokenRecord, JoinTokenTable, TokenRecord, TokenTable} from '../domain/ports.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const tokenLayout = layoutOf<TokenRecord>({
  table: 'tokens',
  kind: 'token',
  nameOf: token => token.name,
  columns: {
    owner_id: token => token.ownerId,
    secret_hash: token => token.secretHash,
    last_used_at: token => token.lastUsedAt,
  },
  fromColumns: row => ({lastUsedAt: row.last_used_at as string | null}),
})

export function tokenTable(sql: Sql): TokenTable {
  const table = new RecordTable({sql, layout: tokenLayout})
  return {
    insert: token => table.insert(token),
    find: id => table.find(id),
    findBySecretHash: secretHash => table.first('WHERE secret_hash = ?', [secretHash]),
    listOf: ownerId => table.many('WHERE owner_id = ? ORDER BY number', [ownerId]),
    async touch(id, lastUsedAt) {
      await sql.run('UPDATE tokens SET last_used_at = ? WHERE id = ?', [lastUsedAt, id])
    },
    delete: id => table.delete(id),
  }
}

const joinTokenLayout = layoutOf<JoinTokenRecord>({
  table: 'join_tokens',
  kind: 'join token',
  nameOf: token => token.name,
  columns: {
    secret_hash: token => token.secretHash,
    uses_left: token => token.usesLeft,
    expires_at: token => token.expiresAt,
  },
  fromColumns: row => ({usesLeft: row.uses_left as number}),
})

export function joinTokenTable(sql: Sql): JoinTokenTable {
  const table = new RecordTable({sql, layout: joinTokenLayout})
  return {
    insert: token => table.insert(token),
    find: id => table.find(id),
    list: () => table.many('ORDER BY number'),
    async use(secretHash, now) {
      const [row] = await sql.write(
        `UPDATE join_tokens SET uses_left = uses_left - 1
          WHERE secret_hash = ? AND uses_left > 0 AND expires_at > ? RETURNING *`,
        [secretHash, now],
      )
      return row && table.fromRow(row)
    },
    delete: id => table.delete(id),
  }
}
