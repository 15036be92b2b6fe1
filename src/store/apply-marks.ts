import type {ApplyMarkTable} from '../domain/ports.ts'
import type {Sql} from './sql.ts'

export function applyMarkTable(sql: Sql): ApplyMarkTable {
  return {
    async insert({objectId, ownerId, set}) {
      await sql.run('INSERT INTO apply_marks (object_id, owner_id, set_name) VALUES (?, ?, ?)', [
        ...[objectId, ownerId, set],
      ])
    },
    async objectsOf(ownerId, set) {
      const rows = await sql.all('SELECT object_id FROM apply_marks WHERE owner_id = ? AND set_name = ?', [
        ...[ownerId, set],
      ])
      return rows.map(row => row.object_id as string)
    },
    async delete(objectId) {
      await sql.run('DELETE FROM apply_marks WHERE object_id = ?', [objectId])
    },
  }
}
