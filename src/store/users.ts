import type {UserRecord, UserTable} from '../domain/ports.ts'
import {layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const layout = layoutOf<UserRecord>({
  table: 'users',
  kind: 'user',
  nameOf: user => user.username,
  columns: {name_key: user => nameKey(user.username)},
})

export function userTable(sql: Sql): UserTable {
  const table = new RecordTable({sql, layout})
  return {
    insert: user => table.insert(user),
    save: user => table.replace(user),
    find: id => table.find(id),
    findByName: username => table.first('WHERE name_key = ?', [nameKey(username)]),
    lock: id => table.lock(id),
    share: id => table.share(id),
    list: () => table.many('ORDER BY number'),
    delete: id => table.delete(id),
  }
}

/** Names are ASCII and unique without regard to case. */
function nameKey(username: string): string {
  return username.toLowerCase()
}
