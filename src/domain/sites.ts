import type {SiteRecord} from './records.ts'
import {siteQuotaBytes} from './storage-quota.ts'

/** As a site begins. */
export function newSite(id: string, at: string): Omit<SiteRecord, 'number' | 'nodeId' | 'name' | 'usedBytes'> {
  return {
    ...{id, createdAt: at, updatedAt: at, version: 0},
    poolId: null,
    quotaBytes: siteQuotaBytes,
    wpPath: null,
    dbName: null,
    status: 'active',
    scheduleFrequency: 'manual',
    scheduleTime: null,
    scheduleDays: null,
    retentionCopies: 10,
    nextRunAt: null,
    lastBackupAt: null,
    expireDays: null,
  }
}
