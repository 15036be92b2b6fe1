import type {Migration} from './migration.ts'

/** Which site's snapshot is due, without reading all sites. */
export const siteSchedules: Migration = {
  version: 10,
  name: 'site schedules',
  statements: ({text}) => [
    `ALTER TABLE sites ADD COLUMN next_run_at ${text}`,
    'CREATE INDEX sites_due ON sites (next_run_at) WHERE next_run_at IS NOT NULL',
  ],
}
