import type {Migration} from './migration.ts'

/** A backup belongs to whom its site belonged to, also when site and node are gone. */
export const ownersOfBackups: Migration = {
  version: 13,
  name: 'owners of backups',
  statements: ({text}) => [
    `ALTER TABLE backups ADD COLUMN owner_id ${text}`,
    'UPDATE backups SET owner_id = (SELECT owner_id FROM sites WHERE sites.id = backups.site_id)',
    'CREATE INDEX backups_owner ON backups (owner_id, taken_at)',
  ],
}
