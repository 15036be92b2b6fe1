import type {Migration} from './migration.ts'

/** Rows of the audit that are committed and not chained yet, where many write at once. */
export const auditWaiting: Migration = {
  version: 15,
  name: 'audit rows that wait',
  statements: ({number, text}) => [
    `CREATE TABLE audit_waiting (number ${number}, at ${text} NOT NULL, actor ${text} NOT NULL, action ${text} NOT NULL,
      object ${text} NOT NULL, request_id ${text} NOT NULL, details ${text} NOT NULL)`,
  ],
}
