import {problem} from './errors.ts'
import type {NodeRecord} from './records.ts'

/** Bytes of a GB, as document 003 counts. */
export const bytesPerGb = 2 ** 30
/** A site gets so much unless somebody gives it another quota. */
export const siteQuotaBytes = 10 * bytesPerGb
const warningPercent = 80

export interface QuotaUse {
  /** One decimal; 0 where the quota is 0. */
  usagePercent: number
  isOverQuota: boolean
  isWarning: boolean
}

/** Over is above the quota, never at it; from 80 % on is a warning. A quota of 0 is over as soon as anything is used. */
export function quotaUse(usedBytes: number, quotaBytes: number): QuotaUse {
  const usagePercent = quotaBytes === 0 ? 0 : Math.round((usedBytes / quotaBytes) * 1000) / 10
  const isOverQuota = usedBytes > quotaBytes
  return {usagePercent, isOverQuota, isWarning: !isOverQuota && usagePercent >= warningPercent}
}

/** The node with another quota for its sites together, which is never more than it has. */
export function withStorageQuota(
  node: NodeRecord,
  storageQuotaGb: number,
  available = node.totalAvailableGb,
): NodeRecord {
  const name = node.name || node.hostname
  if (storageQuotaGb > available) throw problem('quota_too_large', {name, asked: storageQuotaGb, available})
  return {...node, storageQuotaGb, totalAvailableGb: available}
}

/** Two decimals. */
export function inGb(bytes: number): number {
  return Math.round((bytes / bytesPerGb) * 100) / 100
}
