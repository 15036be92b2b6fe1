import type {VolumeTable} from '../domain/ports.ts'
import type {Sql} from './sql.ts'

export function volumeTable(sql: Sql): VolumeTable {
  return {
    async note({name, nodeId, claimId}) {
      await sql.run(
        `INSERT INTO volumes (name, node_id, claim_id, is_going) VALUES (?, ?, ?, 0)
         ON CONFLICT (name, node_id) DO NOTHING`,
        [name, nodeId, claimId],
      )
    },
    async letGo(claimId) {
      const to = sql.givingBack()
      const rows = await to.write('UPDATE volumes SET is_going = 1 WHERE claim_id = ? RETURNING node_id', [claimId])
      return rows.map(row => row.node_id as string)
    },
    async going(nodeId) {
      const rows = await sql.all('SELECT name FROM volumes WHERE node_id = ? AND is_going = 1 ORDER BY name', [nodeId])
      return rows.map(row => row.name as string)
    },
    async forget(nodeId, name) {
      await sql.givingBack().run('DELETE FROM volumes WHERE node_id = ? AND name = ? AND is_going = 1', [nodeId, name])
    },
    async forgetNode(nodeId) {
      await sql.givingBack().run('DELETE FROM volumes WHERE node_id = ?', [nodeId])
    },
  }
}
