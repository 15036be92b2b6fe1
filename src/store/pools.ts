import type {PlacedTable} from '../domain/ports.ts'
import type {MountRecord, PoolRecord} from '../domain/records.ts'
import {type Layout, layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const poolLayout = layoutOf<PoolRecord>({
  table: 'pools',
  kind: 'pool',
  nameOf: pool => pool.name,
  columns: {name: pool => pool.name, node_id: pool => pool.nodeId},
  fixed: ['name', 'node_id'],
})

const mountLayout = layoutOf<MountRecord>({
  table: 'mounts',
  kind: 'mount',
  nameOf: mount => mount.name,
  columns: {name: mount => mount.name, node_id: mount => mount.nodeId},
  fixed: ['name', 'node_id'],
})

export const poolTable = (sql: Sql) => placedTable(sql, poolLayout)
export const mountTable = (sql: Sql) => placedTable(sql, mountLayout)

function placedTable<T extends PoolRecord | MountRecord>(sql: Sql, layout: Layout<T>): PlacedTable<T> {
  const table = new RecordTable({sql, layout})
  return {
    insert: record => table.insert(record as never),
    save: record => table.replace(record),
    find: id => table.find(id),
    list: ({nodeId} = {}) =>
      nodeId === undefined ? table.many('ORDER BY number') : table.many('WHERE node_id = ? ORDER BY number', [nodeId]),
    delete: id => table.delete(id),
  }
}
