import type {NodeAdminTable} from '../domain/ports.ts'
import type {Sql} from './sql.ts'

export function nodeAdminTable(sql: Sql): NodeAdminTable {
  return {
    async nodesOf(userId) {
      const rows = await sql.all('SELECT node_id FROM node_admins WHERE user_id = ?', [userId])
      return rows.map(row => row.node_id as string)
    },
    async assign(userId, nodeId) {
      await sql.run('INSERT INTO node_admins (user_id, node_id) VALUES (?, ?) ON CONFLICT DO NOTHING', [userId, nodeId])
    },
    async unassign(userId, nodeId) {
      await sql.run('DELETE FROM node_admins WHERE user_id = ? AND node_id = ?', [userId, nodeId])
    },
  }
}
