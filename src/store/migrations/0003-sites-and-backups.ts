import type {Migration} from './migration.ts'

export const sitesAndBackups: Migration = {
  version: 3,
  name: 'sites and backups',
  statements: ({number, text, integer}) => {
    const record = `number ${number}, id ${text} NOT NULL UNIQUE, body ${text} NOT NULL`
    return [
      `ALTER TABLE nodes ADD COLUMN storage_quota_gb ${integer} NOT NULL DEFAULT 0`,
      `ALTER TABLE nodes ADD COLUMN total_available_gb ${integer} NOT NULL DEFAULT 1000`,

      `CREATE TABLE node_admins (user_id ${text} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        node_id ${text} NOT NULL REFERENCES nodes (id) ON DELETE CASCADE, PRIMARY KEY (user_id, node_id))`,
      'CREATE INDEX node_admins_node ON node_admins (node_id)',

      `CREATE TABLE sites (${record}, version ${integer} NOT NULL,
        node_id ${text} NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
        name ${text} NOT NULL, used_bytes ${integer} NOT NULL, quota_bytes ${integer} NOT NULL)`,
      'CREATE UNIQUE INDEX sites_name ON sites (node_id, name)',

      // A backup outlives its site and its node: it may lie elsewhere.
      `CREATE TABLE backups (${record}, site_id ${text} NOT NULL, node_id ${text} NOT NULL, filename ${text} NOT NULL,
        taken_at ${text} NOT NULL)`,
      'CREATE UNIQUE INDEX backups_filename ON backups (site_id, filename)',
      'CREATE INDEX backups_node ON backups (node_id, taken_at)',
      'CREATE INDEX backups_taken ON backups (taken_at)',
    ]
  },
}
