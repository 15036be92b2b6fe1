import type {Migration} from './migration.ts'

export const poolsAndMounts: Migration = {
  version: 7,
  name: 'pools and mounts',
  statements: ({number, text}) => [
    `CREATE TABLE pools (number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL,
      name ${text} NOT NULL UNIQUE, node_id ${text} NOT NULL)`,
    'CREATE INDEX pools_node ON pools (node_id)',
    `CREATE TABLE mounts (number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL,
      name ${text} NOT NULL, node_id ${text} NOT NULL)`,
    'CREATE UNIQUE INDEX mounts_name ON mounts (node_id, name)',
  ],
}
