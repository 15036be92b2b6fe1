import type {InstanceSnapshotTable} from '../domain/ports.ts'
import type {InstanceSnapshotRecord} from '../domain/records.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const layout = layoutOf<InstanceSnapshotRecord>({
  table: 'instance_snapshots',
  kind: 'snapshot',
  nameOf: snapshot => snapshot.name,
  columns: {
    instance_id: snapshot => snapshot.instanceId,
    node_id: snapshot => snapshot.nodeId,
    name: snapshot => snapshot.name,
  },
  fixed: ['instance_id', 'node_id', 'name'],
})

/** Whether one has to go stands in a column alone, which no save of the record touches. */
export function instanceSnapshotTable(sql: Sql): InstanceSnapshotTable {
  const table = new RecordTable({sql, layout})
  return {
    insert: snapshot => table.insert(snapshot),
    save: snapshot => table.replace(snapshot),
    find: id => table.first('WHERE id = ? AND is_going = 0', [id]),
    list: instanceId => table.many('WHERE instance_id = ? AND is_going = 0 ORDER BY number', [instanceId]),
    async letGo(instanceId, id) {
      const one = id === undefined ? '' : 'AND id = ? '
      const update = `UPDATE instance_snapshots SET is_going = 1 WHERE instance_id = ? ${one}RETURNING node_id`
      const rows = await sql.givingBack().write(update, id === undefined ? [instanceId] : [instanceId, id])
      return [...new Set(rows.map(row => row.node_id as string))]
    },
    async going(nodeId) {
      const going = 'SELECT instance_id, id FROM instance_snapshots WHERE node_id = ? AND is_going = 1 ORDER BY number'
      const rows = await sql.all(going, [nodeId])
      return rows.map(row => ({instanceId: row.instance_id as string, snapshotId: row.id as string}))
    },
    async forget(nodeId, id) {
      const remove = 'DELETE FROM instance_snapshots WHERE node_id = ? AND id = ? AND is_going = 1'
      await sql.givingBack().run(remove, [nodeId, id])
    },
    async forgetNode(nodeId) {
      await sql.givingBack().run('DELETE FROM instance_snapshots WHERE node_id = ?', [nodeId])
    },
  }
}
