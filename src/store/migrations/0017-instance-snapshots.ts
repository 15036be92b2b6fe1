import type {Migration} from './migration.ts'

/** Snapshots of instances; one that has to go stays until its node has removed it. */
export const instanceSnapshots: Migration = {
  version: 17,
  name: 'instance snapshots',
  statements: ({number, text, integer}) => [
    `CREATE TABLE instance_snapshots (number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL,
      instance_id ${text} NOT NULL REFERENCES instances (id) ON DELETE CASCADE, node_id ${text} NOT NULL,
      name ${text} NOT NULL, is_going ${integer} NOT NULL DEFAULT 0)`,
    'CREATE UNIQUE INDEX instance_snapshots_name ON instance_snapshots (instance_id, name) WHERE is_going = 0',
    'CREATE INDEX instance_snapshots_going ON instance_snapshots (node_id) WHERE is_going = 1',
  ],
}
