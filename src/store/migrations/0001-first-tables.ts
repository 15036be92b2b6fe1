import type {Migration} from './migration.ts'

/** Fields of a record that are only read stand in `body`, as JSON; the others are what is searched or kept unique. */
export const firstTables: Migration = {
  version: 1,
  name: 'first tables',
  statements: ({number, text, integer, writer}) => {
    const record = `number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL`
    return [
      `CREATE TABLE users (${record}, name_key ${text} NOT NULL UNIQUE)`,

      `CREATE TABLE tokens (${record}, owner_id ${text} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        secret_hash ${text} NOT NULL UNIQUE, last_used_at ${text})`,
      'CREATE INDEX tokens_owner ON tokens (owner_id)',

      `CREATE TABLE join_tokens (${record}, secret_hash ${text} NOT NULL UNIQUE,
        uses_left ${integer} NOT NULL, expires_at ${text} NOT NULL)`,

      `CREATE TABLE nodes (${record}, version ${integer} NOT NULL, name ${text} NOT NULL, admission ${text} NOT NULL,
        code ${text}, code_expires_at ${text}, key_hash ${text})`,
      `CREATE UNIQUE INDEX nodes_active_name ON nodes (name) WHERE admission = 'active'`,
      'CREATE UNIQUE INDEX nodes_code ON nodes (code) WHERE code IS NOT NULL',
      'CREATE UNIQUE INDEX nodes_key ON nodes (key_hash) WHERE key_hash IS NOT NULL',
      `CREATE INDEX nodes_waiting ON nodes (code_expires_at) WHERE admission = 'pending'`,
      `CREATE TABLE node_beats (node_id ${text} PRIMARY KEY, at ${text} NOT NULL, beat ${text} NOT NULL)`,

      `CREATE TABLE claims (${record}, version ${integer} NOT NULL, owner_id ${text} NOT NULL, name ${text} NOT NULL,
        created_at ${text} NOT NULL, phase ${text} NOT NULL, live ${integer} NOT NULL, priority ${integer} NOT NULL,
        gpu_count ${integer} NOT NULL, spec ${text} NOT NULL)`,
      'CREATE UNIQUE INDEX claims_live_name ON claims (owner_id, name) WHERE live = 1',
      `CREATE INDEX claims_queue ON claims (priority DESC, number) WHERE phase = 'Pending'`,
      'CREATE INDEX claims_held ON claims (owner_id, gpu_count) WHERE live = 1',
      'CREATE INDEX claims_owner ON claims (owner_id, number)',
      'CREATE INDEX claims_phase ON claims (phase, number)',
      'CREATE INDEX claims_name ON claims (name)',

      `CREATE TABLE instances (${record}, version ${integer} NOT NULL, claim_id ${text} NOT NULL UNIQUE,
        owner_id ${text} NOT NULL, node_id ${text} NOT NULL, name ${text} NOT NULL, status ${text} NOT NULL)`,
      'CREATE INDEX instances_owner ON instances (owner_id, number)',
      'CREATE INDEX instances_node ON instances (node_id, number)',
      'CREATE INDEX instances_status ON instances (status, number)',
      'CREATE INDEX instances_name ON instances (name)',

      `CREATE TABLE allocations (${record}, claim_id ${text} NOT NULL, node_id ${text} NOT NULL, released_at ${text})`,
      'CREATE UNIQUE INDEX allocations_live_claim ON allocations (claim_id) WHERE released_at IS NULL',
      'CREATE INDEX allocations_live_node ON allocations (node_id) WHERE released_at IS NULL',
      `CREATE TABLE allocation_gpus (allocation_id ${text} NOT NULL REFERENCES allocations (id) ON DELETE CASCADE,
        node_id ${text} NOT NULL, gpu_index ${integer} NOT NULL, released_at ${text},
        PRIMARY KEY (allocation_id, gpu_index))`,
      // This index is why no GPU is ever sold twice.
      'CREATE UNIQUE INDEX allocation_gpus_live ON allocation_gpus (node_id, gpu_index) WHERE released_at IS NULL',

      `CREATE TABLE images (${record}, name ${text} NOT NULL UNIQUE)`,
      `CREATE TABLE specs (${record}, name ${text} NOT NULL UNIQUE)`,

      `CREATE TABLE events (number ${number}, at ${text} NOT NULL, kind ${text} NOT NULL, object_id ${text} NOT NULL,
        object_name ${text} NOT NULL, type ${text} NOT NULL, message ${text} NOT NULL, actor ${text} NOT NULL${writer})`,
      'CREATE INDEX events_object ON events (object_id, number)',
      'CREATE INDEX events_name ON events (object_name, number)',
      `CREATE TABLE audit (number ${number}, at ${text} NOT NULL, actor ${text} NOT NULL, action ${text} NOT NULL,
        object ${text} NOT NULL, request_id ${text} NOT NULL, details ${text} NOT NULL)`,

      `CREATE TABLE idempotency (owner_id ${text} NOT NULL, idempotency_key ${text} NOT NULL, body_hash ${text} NOT NULL,
        result_id ${text} NOT NULL, at ${text} NOT NULL, PRIMARY KEY (owner_id, idempotency_key))`,
      'CREATE INDEX idempotency_at ON idempotency (at)',
      `CREATE TABLE settings (name ${text} PRIMARY KEY, value ${text} NOT NULL)`,
    ]
  },
}
