import {problem} from '../domain/errors.ts'
import type {TaskTable} from '../domain/ports.ts'
import type {TaskRecord} from '../domain/records.ts'
import {isOver, privatePrefix} from '../domain/task.ts'
import {Conditions, layoutOf, RecordTable} from './record-table.ts'
import type {Sql} from './sql.ts'

const layout = layoutOf<TaskRecord>({
  table: 'tasks',
  kind: 'task',
  nameOf: task => task.id,
  columns: {
    version: task => task.version,
    owner_id: task => task.ownerId,
    type: task => task.type,
    status: task => task.status,
    finished_at: task => task.finishedAt,
  },
  fixed: ['owner_id', 'type'],
})

/** Of what people know by a name. */
const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function taskTable(sql: Sql): TaskTable {
  const table = new RecordTable({sql, layout})

  async function hold(lock: string, taskId: string): Promise<void> {
    const insert = 'INSERT INTO task_locks (lock_name, task_id) VALUES (?, ?) ON CONFLICT DO NOTHING'
    if ((await sql.run(insert, [lock, taskId])) === 1) return
    const [other] = await table.many('WHERE id = (SELECT task_id FROM task_locks WHERE lock_name = ?)', [lock])
    const [kind = '', , ...rest] = lock.split(':')
    const name = rest.join(':')
    throw problem('task_conflict', {
      what: isUuid.test(name) ? `this ${kind}` : `${kind} ${name}`,
      task: other?.number ?? 0,
      doing: other ? `${other.type} ${other.object}` : '',
    })
  }

  return {
    async insert(task) {
      const saved = await table.insert(task)
      for (const lock of task.locks) await hold(lock, task.id)
      return saved
    },
    async save(task) {
      const saved = await table.replaceVersion(task)
      if (isOver(task)) await sql.givingBack().run('DELETE FROM task_locks WHERE task_id = ?', [task.id])
      return saved
    },
    find: id => table.find(id),
    findByNumber: number => table.findByNumber(number),
    findByPrefix: (prefix, ownerId, limit) => table.findByPrefix(prefix, ownerId, limit),
    list({ownerId, privateTo, status, type, limit = 100, offset = 0}) {
      const conditions = new Conditions()
      if (ownerId !== undefined) conditions.add('owner_id = ?', ownerId)
      if (privateTo !== undefined) conditions.add(`(owner_id = ? OR type NOT LIKE '${privatePrefix}%')`, privateTo)
      if (status !== undefined) conditions.add('status = ?', status)
      if (type !== undefined) conditions.add('type = ?', type)
      return table.many(`${conditions}ORDER BY number DESC LIMIT ? OFFSET ?`, [...conditions.values, limit, offset])
    },
    unfinished: () => table.many(`WHERE status IN ('pending', 'running') ORDER BY number`),
    async log(taskId, {at, text}, keep) {
      await sql.run('INSERT INTO task_logs (task_id, at, line) VALUES (?, ?, ?)', [taskId, at, text])
      await sql.givingBack().run(
        `DELETE FROM task_logs WHERE task_id = ? AND number <=
          (SELECT number FROM task_logs WHERE task_id = ? ORDER BY number DESC LIMIT 1 OFFSET ?)`,
        [taskId, taskId, keep],
      )
    },
    async logs(taskId) {
      const rows = await sql.all('SELECT at, line FROM task_logs WHERE task_id = ? ORDER BY number', [taskId])
      return rows.map(row => ({at: row.at as string, text: row.line as string}))
    },
    prune: before => sql.givingBack().run('DELETE FROM tasks WHERE finished_at < ?', [before]),
  }
}
