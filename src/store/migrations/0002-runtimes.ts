import type {Migration} from './migration.ts'

/** Inference runtimes on machines, and what they last told. */
export const runtimes: Migration = {
  version: 2,
  name: 'runtimes',
  statements: ({number, text, integer}) => [
    `CREATE TABLE runtimes (number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL,
      version ${integer} NOT NULL, address ${text} NOT NULL, port ${integer} NOT NULL, token_hash ${text} NOT NULL UNIQUE,
      node_id ${text} REFERENCES nodes (id) ON DELETE SET NULL)`,
    'CREATE UNIQUE INDEX runtimes_endpoint ON runtimes (address, port)',
    'CREATE INDEX runtimes_node ON runtimes (node_id)',
    `CREATE TABLE runtime_states (runtime_id ${text} PRIMARY KEY REFERENCES runtimes (id) ON DELETE CASCADE,
      state ${text} NOT NULL)`,
  ],
}
