import type {Migration} from './migration.ts'

export const backupTargets: Migration = {
  version: 11,
  name: 'backup targets',
  statements: ({number, text}) => [
    `CREATE TABLE backup_targets (number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL,
      name ${text} NOT NULL UNIQUE)`,
  ],
}
