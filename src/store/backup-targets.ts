import type {BackupTargetTable} from '../domain/ports.ts'
import type {BackupTargetRecord} from '../domain/records.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const layout = layoutOf<BackupTargetRecord>({
  table: 'backup_targets',
  kind: 'backup target',
  nameOf: target => target.name,
  columns: {name: target => target.name},
})

export function backupTargetTable(sql: Sql): BackupTargetTable {
  const table = new RecordTable({sql, layout})
  return {
    insert: target => table.insert(target),
    find: id => table.find(id),
    list: () => table.many('ORDER BY number', []),
    delete: id => table.delete(id),
  }
}
