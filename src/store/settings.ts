import type {IdempotencyTable, SettingTable} from '../domain/ports.ts'
import {type Sql, UniqueViolation, WritersMet} from './sql.ts'

export function idempotencyTable(sql: Sql): IdempotencyTable {
  return {
    async find(ownerId, key) {
      const row = await sql.get(
        'SELECT body_hash, result_id FROM idempotency WHERE owner_id = ? AND idempotency_key = ?',
        [ownerId, key],
      )
      return row && {bodyHash: row.body_hash as string, resultId: row.result_id as string}
    },
    async insert({ownerId, key, bodyHash, resultId, at}) {
      try {
        await sql.run(
          'INSERT INTO idempotency (owner_id, idempotency_key, body_hash, result_id, at) VALUES (?, ?, ?, ?, ?)',
          [ownerId, key, bodyHash, resultId, at],
        )
      } catch (error) {
        // The same request came twice at once. Run again, the second finds the result of the first.
        if (error instanceof UniqueViolation) throw new WritersMet('an idempotency key', {cause: error})
        throw error
      }
    },
    prune(before) {
      return sql.givingBack().run('DELETE FROM idempotency WHERE at < ?', [before])
    },
  }
}

export function settingTable(sql: Sql): SettingTable {
  return {
    async get(name) {
      const row = await sql.get('SELECT value FROM settings WHERE name = ?', [name])
      return row?.value as string | undefined
    },
    async set(name, value) {
      await sql.run(
        'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
        [name, value],
      )
    },
  }
}
