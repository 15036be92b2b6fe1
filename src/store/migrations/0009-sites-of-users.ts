import type {Migration} from './migration.ts'

/** Sites belong to users, and claims mount them: a site that one mounts is not deleted. */
export const sitesOfUsers: Migration = {
  version: 9,
  name: 'sites of users',
  statements: ({text}) => [
    `ALTER TABLE sites ADD COLUMN owner_id ${text}`,
    'CREATE INDEX sites_owner ON sites (owner_id, number)',
    `CREATE TABLE site_mounts (site_id ${text} NOT NULL REFERENCES sites (id) ON DELETE CASCADE,
      claim_id ${text} NOT NULL REFERENCES claims (id) ON DELETE CASCADE, PRIMARY KEY (site_id, claim_id))`,
    'CREATE INDEX site_mounts_claim ON site_mounts (claim_id)',
  ],
}
