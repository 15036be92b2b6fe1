import type {SshKeyRecord, SshKeyTable} from '../domain/ports.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const layout = layoutOf<SshKeyRecord>({
  table: 'ssh_keys',
  kind: 'key',
  nameOf: key => key.name,
  columns: {owner_id: key => key.ownerId, name: key => key.name, fingerprint: key => key.fingerprint},
})

export function sshKeyTable(sql: Sql): SshKeyTable {
  const table = new RecordTable({sql, layout})
  return {
    insert: key => table.insert(key),
    find: id => table.find(id),
    findByFingerprint: (ownerId, fingerprint) =>
      table.first('WHERE owner_id = ? AND fingerprint = ?', [ownerId, fingerprint]),
    listOf: ownerId => table.many('WHERE owner_id = ? ORDER BY number', [ownerId]),
    delete: id => table.delete(id),
  }
}
