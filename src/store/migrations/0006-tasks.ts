import type {Migration} from './migration.ts'

export const taskTables: Migration = {
  version: 6,
  name: 'tasks',
  statements: ({number, text, integer}) => [
    `CREATE TABLE tasks (number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL, version ${integer} NOT NULL,
      owner_id ${text} NOT NULL, type ${text} NOT NULL, status ${text} NOT NULL, finished_at ${text})`,
    'CREATE INDEX tasks_owner ON tasks (owner_id, number)',
    'CREATE INDEX tasks_status ON tasks (status, number)',
    'CREATE INDEX tasks_finished ON tasks (finished_at)',
    // Two tasks never work on one thing: the second one is refused here, whoever checked what before.
    `CREATE TABLE task_locks (lock_name ${text} PRIMARY KEY,
      task_id ${text} NOT NULL REFERENCES tasks (id) ON DELETE CASCADE)`,
    'CREATE INDEX task_locks_task ON task_locks (task_id)',
    `CREATE TABLE task_logs (number ${number}, task_id ${text} NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
      at ${text} NOT NULL, line ${text} NOT NULL)`,
    'CREATE INDEX task_logs_task ON task_logs (task_id, number)',
  ],
}
