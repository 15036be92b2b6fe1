import type {Migration} from './migration.ts'

/** Lists of what is not deleted, and how many there are, without reading the instances of all times. */
export const deletedInstances: Migration = {
  version: 8,
  name: 'deleted instances',
  statements: ({integer}) => [
    `ALTER TABLE instances ADD COLUMN deleted ${integer} NOT NULL DEFAULT 0`,
    `UPDATE instances SET deleted = 1 WHERE body LIKE '%"desired":"deleted"%'`,
    'CREATE INDEX instances_kept ON instances (owner_id, number) WHERE deleted = 0',
  ],
}
